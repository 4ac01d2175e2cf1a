import { Checkbox, TextInput } from '@mantine/core';
import { useState } from 'react';
import { findOperation, useOperations } from '../../api/operations';
import { FormDialog } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Icon } from '../../parts/Icon';
import { t } from '../../texts';
import { fieldsOf } from '../hardware/schema';
import { FieldRows } from '../records/FieldRows';
import { areWhole, type Values } from '../records/values';
import { about, Devices, Shown, useSend } from './DiskParts';
import {
  appliesTo,
  type DiskChange,
  destroyRequest,
  FIELDS,
  freeOf,
  type Made,
  makeRequest,
  refusalOfDisks,
  tableRequest,
  wipeRequest,
} from './diskChanges';
import type { Disk } from './disks';

const words = t.node.disks.change;

type Props = { node: string; onClose: () => void };

function Make({ node, made, all, onClose }: Props & { made: Made; all: Disk[] }) {
  const table = useOperations().data ?? [];
  const name = findOperation(table, 'POST', `/nodes/{node}/disks/${made}`)?.name ?? '';
  const known = fieldsOf(table, name);
  const [values, setValues] = useState<Values>({ add_storage: '1', raidlevel: 'single' });
  const [devices, setDevices] = useState<string[]>([]);
  const level = made === 'zfs' ? (values.raidlevel ?? '') : '';
  const fields = FIELDS[made]
    .filter((field) => appliesTo(field, level))
    .flatMap((field) => known.get(field) ?? []);
  const refusal = refusalOfDisks(level, devices.length, words);
  const request = makeRequest(node, made, values, devices);
  const { form, send } = useSend(`${words.make[made]} ${values.name ?? ''}`, onClose);
  const said = form.fields.device ?? form.fields.devices;
  return (
    <FormDialog
      title={words.makeOn(words.make[made], node)}
      submitText={t.records.add}
      isReady={areWhole(fields, values) && !refusal}
      form={form}
      onSubmit={() => send(request)}
      onClose={onClose}
      size="lg"
    >
      <Devices
        free={freeOf(all)}
        areSeveral={made === 'zfs'}
        chosen={devices}
        error={said ?? (devices.length > 0 ? refusal : undefined)}
        onChange={setDevices}
      />
      <div className="fbody plain">
        <FieldRows fields={fields} values={values} errors={form.fields} onChange={setValues} />
      </div>
      {devices.length > 0 && <Shown request={request} />}
    </FormDialog>
  );
}

/** What a change brings about that cannot be undone. */
function Lost({ lost }: { lost: string[] }) {
  return (
    <div className="fx">
      <h3>{t.dialog.destroy.lost}</h3>
      <ul>
        {lost.map((what) => (
          <li key={what} className="tone t-error">
            <Icon name="x" className="s" />
            <span>{what}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Typed({
  name,
  value,
  onChange,
}: {
  name: string;
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <TextInput
      data-autofocus
      label={words.type(name)}
      autoComplete="off"
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

function Wipe({ node, disk, all, onClose }: Props & { disk: Disk; all: Disk[] }) {
  const [typed, setTyped] = useState('');
  const name = plain(disk.devpath);
  const { form, send } = useSend(`${words.wipe} ${name}`, onClose);
  const request = wipeRequest(node, disk);
  const parts = all.filter((one) => one.parent === disk.devpath);
  return (
    <FormDialog
      title={words.wipeOf(name)}
      submitText={words.wipe}
      isDanger
      isReady={typed.trim() === disk.devpath}
      form={form}
      onSubmit={() => send(request)}
      onClose={onClose}
    >
      <Lost lost={[disk, ...parts].map((one) => words.allOn(about(one)))} />
      <Shown request={request} />
      <Typed name={name} value={typed} onChange={setTyped} />
    </FormDialog>
  );
}

function InitTable({ node, disk, onClose }: Props & { disk: Disk }) {
  const name = plain(disk.devpath);
  const { form, send } = useSend(`${words.initgpt} ${name}`, onClose);
  const request = tableRequest(node, disk);
  return (
    <FormDialog
      title={words.initgptOf(name)}
      submitText={words.initgpt}
      form={form}
      onSubmit={() => send(request)}
      onClose={onClose}
    >
      <p className="t2">{words.initgptText}</p>
      <Shown request={request} />
    </FormDialog>
  );
}

function Destroy({
  node,
  change,
  onClose,
}: Props & { change: Extract<DiskChange, { kind: 'destroy' }> }) {
  const [typed, setTyped] = useState('');
  const [config, setConfig] = useState(true);
  const [disks, setDisks] = useState(false);
  const name = plain(change.name);
  const what = `${words.made[change.made]} ${name}`;
  const { form, send } = useSend(`${t.act.destroy} ${what}`, onClose);
  const request = destroyRequest(node, change, { config, disks });
  return (
    <FormDialog
      title={t.dialog.destroy.title(what)}
      submitText={t.dialog.destroy.submit}
      isDanger
      isReady={typed.trim() === change.name}
      form={form}
      onSubmit={() => send(request)}
      onClose={onClose}
      size="lg"
    >
      <Lost lost={[words.allIn(what)]} />
      <Checkbox
        label={words.cleansConfig}
        checked={config}
        onChange={(event) => setConfig(event.target.checked)}
      />
      <Checkbox
        label={words.cleansDisks}
        checked={disks}
        onChange={(event) => setDisks(event.target.checked)}
      />
      <Shown request={request} />
      <Typed name={name} value={typed} onChange={setTyped} />
    </FormDialog>
  );
}

/** The dialog of a change of disks, or of what is made of them. */
export function DiskDialog({
  change,
  all,
  ...props
}: Props & { change: DiskChange /** All disks of the node. */; all: Disk[] }) {
  switch (change.kind) {
    case 'make':
      return <Make made={change.made} all={all} {...props} />;
    case 'wipe':
      return <Wipe disk={change.disk} all={all} {...props} />;
    case 'initgpt':
      return <InitTable disk={change.disk} {...props} />;
    case 'destroy':
      return <Destroy change={change} {...props} />;
  }
}
