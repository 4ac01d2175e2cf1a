import { Select } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { type Operation, useOperations } from '../../api/operations';
import { useInventory } from '../../api/stream';
import { followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { Loaded } from '../../parts/Page';
import { guestAddress } from '../../shell/treeRows';
import { profiles as words } from '../../texts/profiles';
import { fieldOf, fieldsAt } from '../hardware/schema';
import { FieldRows } from '../records/FieldRows';
import { areWhole, type Values } from '../records/values';
import {
  CREATE,
  createNames,
  createParams,
  createPath,
  formOf,
  type Made,
  type Profile,
  single,
} from './profile';

type Props = { profile: Profile; onClose: () => void };

function Opened({ profile, onClose, table }: Props & { table: Operation[] }) {
  const client = useQueryClient();
  const { byVmid, nodes, pools } = useInventory();
  const form = useSubmit(onClose);
  const online = nodes.filter((one) => one.status === 'online').map((one) => one.node);
  const [chosen, setChosen] = useState<string | null>(null);
  // A clone is made where its template is, unless something else is chosen.
  const home = byVmid.get(Number(profile.from))?.node;
  const node = chosen ?? online.find((one) => one === home) ?? online[0] ?? '';
  const [values, setValues] = useState<Values>({ count: '1', start: '1' });
  const own = formOf(profile);
  const known = fieldsAt(table, 'POST', CREATE);
  const fields = createNames(values).flatMap((name) => {
    const field = fieldOf(known, name);
    // What is the default anyway is the profile's here.
    return field ? [{ ...single({ ...field, name }), default: undefined }] : [];
  });
  const texts = Object.fromEntries(
    fields.map(({ name }) => {
      const { label = name, unit } = words.fields[name] ?? {};
      const hint = words.create.asProfile(own[name] ?? '');
      return [name, words.createFields[name] ?? { label, unit, hint }];
    }),
  );
  const submit = () =>
    form.submit(async () => {
      const address = createPath(node, profile.profile);
      for (const { vmid, name = '', upid } of await api.post<Made[]>(
        address,
        createParams(values),
      )) {
        const task = words.create.task(vmid, name, profile.profile);
        followTask(client, task, upid ?? null, { made: guestAddress({ vmid }), vmids: [vmid] });
      }
    });
  return (
    <FormDialog
      title={words.create.title(profile.profile)}
      submitText={words.create.submit}
      isReady={node !== '' && areWhole(fields, values)}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <div className="fbody plain">
        <div className={`fr ${form.fields.node ? 'bad' : ''}`}>
          <div className="fr-label">
            {words.create.node}
            <code>node</code>
          </div>
          <div>
            <Select
              aria-label={words.create.node}
              allowDeselect={false}
              data={online}
              value={node || null}
              onChange={setChosen}
            />
            {form.fields.node && (
              <p className="hint e" role="alert">
                {form.fields.node}
              </p>
            )}
          </div>
        </div>
        <FieldRows
          fields={fields}
          values={values}
          errors={form.fields}
          offers={{ pool: pools.map(({ pool }) => pool) }}
          texts={texts}
          onChange={setValues}
        />
      </div>
    </FormDialog>
  );
}

/** Makes virtual machines from a profile. */
export function CreateDialog(props: Props) {
  const operations = useOperations();
  return <Loaded query={operations}>{(table) => <Opened table={table} {...props} />}</Loaded>;
}
