import { Autocomplete } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import type { Field } from '../../api/operations';
import { errorText } from '../../api/tasks';
import { plain } from '../../format';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { listOf, useChoices } from '../mappings/devices';
import type { Mapping } from '../mappings/mapping';
import { nameIn, SOURCES, type Source, sourceOf, withUsb } from './usb';

const words = t.hw.usb;

/** Names to choose from, and what each is. */
type Names = { names: Map<string, string>; error?: unknown };

function useMappings(isWanted: boolean): Names {
  const list = listOf('usb');
  const query = useQuery({
    queryKey: ['records', list],
    queryFn: ({ signal }) => api.get<Mapping[]>(list, {}, signal),
    enabled: isWanted,
  });
  const names = (query.data ?? []).map((one): [string, string] => [one.id, one.description ?? '']);
  return { names: new Map(names), error: query.error };
}

function useNames(node: string, source: Source): Names {
  const mappings = useMappings(source === 'mapping');
  const devices = useChoices(node, 'usb', source !== 'mapping');
  if (source === 'mapping') return mappings;
  const names = (devices.data ?? []).map(({ key, id, about }): [string, string] =>
    source === 'id' ? [id, about] : [key, `${id} ${about}`],
  );
  return { names: new Map(names), error: devices.error };
}

/** Which device of the node the guest gets: by a mapping, by its id, by its port. */
export function UsbForm({
  field,
  node,
  value,
  onChange,
}: {
  field: Field;
  node: string;
  value: string;
  onChange: (value: string) => void;
}) {
  const [source, setSource] = useState<Source>(() => sourceOf(field, value));
  const { names, error } = useNames(node, source);
  return (
    <>
      <div className="fr">
        <div className="fr-label">{words.by}</div>
        <div className="ctl">
          <Segmented<Source>
            label={words.by}
            value={source}
            options={SOURCES.map((one) => [one, words.sources[one]])}
            onChange={setSource}
          />
        </div>
      </div>
      <div className="fr">
        <div className="fr-label">{words.sources[source]}</div>
        <div>
          <Autocomplete
            aria-label={words.sources[source]}
            placeholder={names.size > 0 ? words.choose : words.none[source]}
            data={[...names.keys()]}
            renderOption={({ option }) => (
              <span>
                <span className="mono">{plain(option.value)}</span>{' '}
                <span className="muted">{plain(names.get(option.value) ?? '')}</span>
              </span>
            )}
            value={nameIn(field, value, source)}
            onChange={(next) => onChange(withUsb(field, value, source, next))}
          />
          <p className="hint">{error ? words.noList(errorText(error)) : words.hints[source]}</p>
        </div>
      </div>
    </>
  );
}
