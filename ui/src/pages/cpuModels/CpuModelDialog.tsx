import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, path } from '../../api/client';
import { type Operation, useOperations } from '../../api/operations';
import { useInventory } from '../../api/stream';
import { errorText } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Loaded } from '../../parts/Page';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { fieldsOf } from '../hardware/schema';
import { FieldRows } from '../records/FieldRows';
import type { Row } from '../records/Records';
import { areWhole, changeOf, valuesOf } from '../records/values';
import {
  CPU_MODELS,
  type Flag,
  flagsToShow,
  givenBy,
  type Switch,
  type Switches,
  switchesOf,
  textOfSwitches,
} from './flags';

const words = t.cpuModel;

const FIELDS = [
  'reported-model',
  'level',
  'phys-bits',
  'guest-phys-bits',
  'hidden',
  'hv-vendor-id',
];

const OPTIONS = (['-', '', '+'] as const).map((one): [Switch, string] => [
  one,
  words.switches[one],
]);

function FlagRow({
  flag,
  value,
  onChange,
}: {
  flag: Flag;
  value: Switch;
  onChange: (value: Switch) => void;
}) {
  const nodes = useInventory().nodes.map((node) => node.node);
  return (
    <li className="flag">
      <span>
        <span className="mono name">{plain(flag.name)}</span>{' '}
        <span className="muted">{givenBy(flag, nodes, words)}</span>
        {flag.description && <span className="hint">{plain(flag.description)}</span>}
      </span>
      <Segmented<Switch> label={flag.name} value={value} options={OPTIONS} onChange={onChange} />
    </li>
  );
}

function Flags({
  flags,
  value,
  onChange,
}: {
  flags: Flag[];
  value: Switches;
  onChange: (value: Switches) => void;
}) {
  const [wanted, setWanted] = useState('');
  const [isAll, setIsAll] = useState(false);
  // A row stays where it is while it is switched.
  const [first] = useState(value);
  const shown = flagsToShow(flags, first, wanted, isAll);
  const rest = flags.length - shown.length;
  return (
    <>
      <TextInput
        label={words.flags}
        placeholder={words.find}
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
      />
      <ul className="flags">
        {shown.map((flag) => (
          <FlagRow
            key={flag.name}
            flag={flag}
            value={value.get(flag.name) ?? ''}
            onChange={(next) => onChange(new Map(value).set(flag.name, next))}
          />
        ))}
      </ul>
      {shown.length === 0 && <p className="muted">{words.noFlag}</p>}
      {wanted === '' && !isAll && rest > 0 && (
        <button type="button" className="lnk more" onClick={() => setIsAll(true)}>
          {words.more(rest)}
        </button>
      )}
    </>
  );
}

type Props = { model?: Row; onClose: () => void };

function Opened({ model, onClose, table }: Props & { table: Operation[] }) {
  const flags = useQuery({
    queryKey: ['records', '/cluster/qemu/cpu-flags'],
    queryFn: ({ signal }) => api.get<Flag[]>('/cluster/qemu/cpu-flags', {}, signal),
    retry: false,
  });
  const known = fieldsOf(table, model ? 'custom_cpu_model_update' : 'custom_cpu_model_create');
  const names = model ? FIELDS : ['cputype', ...FIELDS];
  // Without the list they are one text.
  const shown = flags.error ? [...names, 'flags'] : names;
  const fields = shown.flatMap((name) => known.get(name) ?? []);
  const before = valuesOf(model, [...names, 'flags']);
  const base = known.get('reported-model')?.default ?? '';
  const [values, setValues] = useState(model ? before : { ...before, 'reported-model': base });
  const form = useSubmit(onClose);
  const submit = () =>
    form.submit(() => {
      const params = changeOf(values, before, model?.digest as string | undefined);
      if (!model) return api.post(CPU_MODELS, params);
      return api.put(`${CPU_MODELS}${path(String(model.cputype))}`, params);
    });
  return (
    <FormDialog
      title={model ? t.records.changeOf(String(model.cputype)) : words.add}
      submitText={model ? t.save : t.records.add}
      isReady={areWhole(fields, values)}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <div className="fbody plain">
        <FieldRows
          fields={fields}
          values={values}
          before={model && before}
          errors={form.fields}
          onChange={setValues}
        />
        {flags.error && <p className="hint">{words.noList(errorText(flags.error))}</p>}
        {flags.data && (
          <Flags
            flags={flags.data}
            value={switchesOf(values.flags ?? '')}
            onChange={(next) => setValues({ ...values, flags: textOfSwitches(next) })}
          />
        )}
      </div>
    </FormDialog>
  );
}

/** Makes a processor model, or changes one: what it is made of, and its flags. */
export function CpuModelDialog(props: Props) {
  const operations = useOperations();
  return <Loaded query={operations}>{(table) => <Opened table={table} {...props} />}</Loaded>;
}
