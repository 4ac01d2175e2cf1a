import { Switch } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, path } from '../../api/client';
import { plain } from '../../format';
import { t } from '../../texts';
import { useChoices, useMappings } from '../mappings/devices';
import type { Choice, Mapping } from '../mappings/mapping';
import { FieldRow } from './FieldRow';
import { HostDeviceRows } from './HostDeviceRows';
import { withDevice } from './hostDevice';
import { type FormProps, Properties } from './Properties';
import {
  hasAllFunctions,
  lacksPcie,
  listedAs,
  nameIn,
  SOURCES,
  type Source,
  sourceOf,
  withAllFunctions,
  withPci,
} from './pci';
import { parse, print } from './propertyString';
import { propertiesOfField } from './schema';

const words = t.hw.pci;

type MdevType = { type: string; name?: string; description?: string; available: number };

/** The types of mediated devices that a device or mapping of a node can be parted into. */
function useMdevTypes(node: string, device: string, isWanted: boolean): MdevType[] {
  const query = useQuery({
    queryKey: ['node', node, 'hardware', 'pci', device, 'mdev'],
    queryFn: ({ signal }) =>
      api.get<MdevType[]>(`${path('nodes', node, 'hardware', 'pci', device)}/mdev`, {}, signal),
    enabled: isWanted,
    retry: false,
  });
  return query.data ?? [];
}

/** Which part of the device the guest gets, where it can be parted. */
function MdevRow({
  field,
  value,
  was,
  types,
  onChange,
}: Pick<FormProps, 'field' | 'value' | 'was' | 'onChange'> & { types: MdevType[] }) {
  const mdev = propertiesOfField(field)?.find(({ name }) => name === 'mdev');
  const values = parse(field, value);
  const own = values.get('mdev') ?? '';
  if (!mdev || (types.length === 0 && own === '')) return null;
  const chosen = types.find(({ type }) => type === own);
  const about = chosen && words.mdevFree(plain(chosen.name ?? chosen.type), chosen.available);
  return (
    <FieldRow
      field={mdev}
      label={words.mdev}
      hint={about ?? words.mdevHint}
      value={own}
      was={parse(field, was).get('mdev') ?? ''}
      offers={types.map(({ type }) => type)}
      unset={t.hw.unset}
      onChange={(next) => onChange(print(field, new Map(values).set('mdev', next)))}
    />
  );
}

/** The device itself, or each of its functions. */
function FunctionsRow({
  address,
  onChange,
}: {
  address: string;
  onChange: (address: string) => void;
}) {
  const isAll = hasAllFunctions(address);
  if (isAll === undefined) return null;
  return (
    <div className="fr">
      <div className="fr-label">{words.all}</div>
      <div>
        <div className="ctl">
          <Switch
            aria-label={words.all}
            checked={isAll}
            onChange={(event) => onChange(withAllFunctions(address, event.target.checked))}
          />
        </div>
        <p className="hint">{words.allHint}</p>
      </div>
    </div>
  );
}

const ofMappings = (mappings: Mapping[]) =>
  new Map(mappings.map((one): [string, string] => [one.id, one.description ?? '']));

function ofDevices(choices: Choice[]) {
  const named = choices.map(({ key, id, about, properties }): [string, string] => {
    const group = properties.find(([name]) => name === 'iommugroup')?.[1];
    return [key, [id, about, group && words.group(group)].filter(Boolean).join(' ')];
  });
  return new Map(named);
}

/** Which PCI device of the node the guest gets, and how it sees it. */
export function PciForm(props: FormProps) {
  const { field, node, machine, value, was, onChange } = props;
  const [source, setSource] = useState<Source>(() => sourceOf(field, value));
  const isMapped = source === 'mapping';
  const mappings = useMappings('pci', node, isMapped);
  const devices = useChoices(node, 'pci', !isMapped);
  const name = nameIn(field, value, source);
  const device = isMapped ? name : listedAs(name);
  const chosen = isMapped
    ? mappings.data.find(({ id }) => id === name)
    : devices.data?.find(({ key }) => key === device);
  const types = useMdevTypes(node, device, Boolean(Number(chosen?.mdev)));
  const offered = isMapped
    ? { names: ofMappings(mappings.data), error: mappings.error }
    : { names: ofDevices(devices.data ?? []), error: devices.error };
  return (
    <>
      <HostDeviceRows<Source>
        words={words}
        sources={SOURCES}
        source={source}
        onSource={setSource}
        offered={offered}
        name={name}
        onName={(next) => onChange(withPci(field, value, source, next))}
      />
      {name !== '' && (
        <>
          {!isMapped && (
            <FunctionsRow
              address={name}
              onChange={(next) => onChange(withDevice(field, value, source, next))}
            />
          )}
          <MdevRow field={field} value={value} was={was} types={types} onChange={onChange} />
          <Properties
            {...props}
            without={['host', 'mapping', 'mdev']}
            refusals={lacksPcie(field, value, machine) ? { pcie: words.needsPcie } : {}}
          />
        </>
      )}
    </>
  );
}
