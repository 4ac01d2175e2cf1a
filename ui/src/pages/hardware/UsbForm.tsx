import { useState } from 'react';
import { t } from '../../texts';
import { useChoices, useMappings } from '../mappings/devices';
import { HostDeviceRows, type Names } from './HostDeviceRows';
import { withDevice } from './hostDevice';
import type { FormProps } from './Properties';
import { nameIn, SOURCES, type Source, sourceOf } from './usb';

function useNames(node: string, source: Source): Names {
  const mappings = useMappings('usb', node, source === 'mapping');
  const devices = useChoices(node, 'usb', source !== 'mapping');
  if (source === 'mapping') {
    const names = mappings.data.map((one): [string, string] => [one.id, one.description ?? '']);
    return { names: new Map(names), error: mappings.error };
  }
  const names = (devices.data ?? []).map(({ key, id, about }): [string, string] =>
    source === 'id' ? [id, about] : [key, `${id} ${about}`],
  );
  return { names: new Map(names), error: devices.error };
}

/** Which device of the node the guest gets: by a mapping, by its id, by its port. */
export function UsbForm({ field, node, value, onChange }: FormProps) {
  const [source, setSource] = useState<Source>(() => sourceOf(field, value));
  return (
    <HostDeviceRows<Source>
      words={t.hw.usb}
      sources={SOURCES}
      source={source}
      onSource={setSource}
      offered={useNames(node, source)}
      name={nameIn(field, value, source)}
      onName={(name) => onChange(withDevice(field, value, source, name))}
    />
  );
}
