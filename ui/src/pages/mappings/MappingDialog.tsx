import { Autocomplete, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, path } from '../../api/client';
import { type Operation, useOperations } from '../../api/operations';
import { useInventory } from '../../api/stream';
import { errorText } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Button, IconButton } from '../../parts/Button';
import { Loaded } from '../../parts/Page';
import { t } from '../../texts';
import { fieldsOf } from '../hardware/schema';
import { FieldRows } from '../records/FieldRows';
import { areWhole, changeOf, valuesOf } from '../records/values';
import { listOf, useChoices } from './devices';
import {
  type Choice,
  chosenOf,
  type Entry,
  entryOf,
  isWhole,
  type Kind,
  type Mapping,
  onNode,
  textOfEntry,
  withChoice,
} from './mapping';

const words = t.mapping;

/** Fields beside the entries; `id` is said once. */
const FIELDS: Record<Kind, string[]> = {
  pci: ['description', 'mdev', 'live-migration-capable'],
  usb: ['description'],
  dir: ['description'],
};

const labelOf = ({ key, id, about }: Choice) => [key, id, plain(about)].filter(Boolean).join(' ');

type EntryProps = { kind: Kind; entry: Entry; onChange: (entry: Entry) => void };

/** What the node has, to choose from; what is typed below it holds without. */
function Picker({ kind, entry, onChange }: EntryProps) {
  const choices = useChoices(entry.get('node') ?? '', kind);
  const all = choices.data ?? [];
  const hint = choices.error ? words.noList(errorText(choices.error)) : undefined;
  return (
    <Select
      className="wide"
      label={words.device}
      description={hint}
      searchable
      placeholder={choices.data && all.length === 0 ? words.noDevices : words.pick}
      disabled={all.length === 0}
      data={all.map((one) => ({ value: one.key, label: labelOf(one) }))}
      value={chosenOf(kind, entry, all)?.key ?? null}
      onChange={(key) => {
        const choice = all.find((one) => one.key === key);
        if (choice) onChange(withChoice(entry, choice));
      }}
    />
  );
}

/** Where the device or folder is. */
function PathInput({ kind, entry, onChange }: EntryProps) {
  const choices = useChoices(entry.get('node') ?? '', kind, kind === 'usb').data ?? [];
  const ports = choices.filter(({ id }) => id === entry.get('id')).map(({ key }) => key);
  return (
    <Autocomplete
      className={kind === 'dir' ? 'wide mono-in' : 'mono-in'}
      label={words.path[kind]}
      description={words.pathHint[kind]}
      data={kind === 'usb' ? ports : []}
      value={entry.get('path') ?? ''}
      onChange={(value) => onChange(new Map(entry).set('path', value))}
    />
  );
}

function EntryForm({
  at,
  nodes,
  onRemove,
  ...props
}: EntryProps & { at: number; nodes: string[]; onRemove: () => void }) {
  const { kind, entry, onChange } = props;
  const node = entry.get('node') ?? '';
  const text = (key: string, label: string) => (
    <TextInput
      className="mono-in"
      label={label}
      value={entry.get(key) ?? ''}
      onChange={(event) => onChange(new Map(entry).set(key, event.target.value))}
    />
  );
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset brings a frame and a legend.
    <div className="mapx" role="group" aria-label={words.entry(node, at)}>
      <div className="mapx-node wide">
        <Select
          className="grow"
          label={words.node}
          allowDeselect={false}
          data={[...new Set([...nodes, node].filter(Boolean))]}
          value={node || null}
          onChange={(next) => next && next !== node && onChange(onNode(next))}
        />
        <IconButton icon="trash" label={words.removeEntry(node, at)} onClick={onRemove} />
      </div>
      {kind !== 'dir' && <Picker {...props} />}
      <PathInput {...props} />
      {kind !== 'dir' && text('id', words.id)}
      {kind === 'pci' && text('subsystem-id', words.subsystem)}
      {kind === 'pci' && text('iommugroup', words.group)}
    </div>
  );
}

/** Entries have keys of their own: two of one node are alike otherwise. */
type Kept = { key: number; entry: Entry };

function Entries({
  kind,
  entries,
  onChange,
}: {
  kind: Kind;
  entries: Kept[];
  onChange: (entries: Kept[]) => void;
}) {
  const nodes = useInventory().nodes.map((node) => node.node);
  const taken = entries.map(({ entry }) => entry.get('node'));
  const free = nodes.find((node) => !taken.includes(node)) ?? (kind === 'dir' ? '' : nodes[0]);
  const add = () => {
    const key = Math.max(-1, ...entries.map((one) => one.key)) + 1;
    onChange([...entries, { key, entry: onNode(free ?? '') }]);
  };
  return (
    <>
      <div className="mapx-head">
        <h3>{words.onNodes}</h3>
        <Button kind="sm" icon="plus" disabled={!free} onClick={add}>
          {words.addEntry}
        </Button>
      </div>
      {entries.length === 0 && <p className="muted">{words.needsEntry}</p>}
      {entries.map(({ key, entry }, at) => (
        <EntryForm
          key={key}
          at={at}
          kind={kind}
          entry={entry}
          nodes={nodes}
          onChange={(next) =>
            onChange(entries.map((one) => (one.key === key ? { key, entry: next } : one)))
          }
          onRemove={() => onChange(entries.filter((one) => one.key !== key))}
        />
      ))}
    </>
  );
}

type Props = {
  kind: Kind;
  /** None: a new one. */
  mapping?: Mapping;
  onClose: () => void;
};

function Opened({ kind, mapping, onClose, table }: Props & { table: Operation[] }) {
  const nodes = useInventory().nodes;
  const known = fieldsOf(table, `mapping_${kind}_${mapping ? 'update' : 'create'}`);
  const names = mapping ? FIELDS[kind] : ['id', ...FIELDS[kind]];
  const fields = names.flatMap((name) => known.get(name) ?? []);
  const before = valuesOf(mapping, names);
  const [values, setValues] = useState(before);
  const [entries, setEntries] = useState<Kept[]>(() => {
    const first = mapping ? mapping.map.map(entryOf) : [onNode(nodes[0]?.node ?? '')];
    return first.map((entry, key) => ({ key, entry }));
  });
  const form = useSubmit(onClose);
  const isReady =
    areWhole(fields, values) &&
    entries.length > 0 &&
    entries.every(({ entry }) => isWhole(kind, entry));
  const submit = () =>
    form.submit(() => {
      const params = changeOf(values, before, mapping?.digest);
      const map = entries.map(({ entry }) => textOfEntry(entry));
      if (!mapping) return api.post(listOf(kind), { ...params, map });
      return api.put(`${listOf(kind)}${path(mapping.id)}`, { ...params, map });
    });
  return (
    <FormDialog
      title={mapping ? t.records.changeOf(mapping.id) : words.add[kind]}
      submitText={mapping ? t.save : t.records.add}
      isReady={isReady}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <div className="fbody plain">
        <FieldRows
          fields={fields}
          values={values}
          before={mapping && before}
          errors={form.fields}
          onChange={setValues}
        />
        <Entries kind={kind} entries={entries} onChange={setEntries} />
      </div>
    </FormDialog>
  );
}

/** Makes a mapping, or changes one: what it is on each node. */
export function MappingDialog(props: Props) {
  const operations = useOperations();
  return <Loaded query={operations}>{(table) => <Opened table={table} {...props} />}</Loaded>;
}
