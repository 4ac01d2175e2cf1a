import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, type Params, path } from '../../api/client';
import { useOperations } from '../../api/operations';
import { followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { PlanDialog } from '../../dialogs/PlanDialog';
import { plain } from '../../format';
import { exports as words } from '../../texts/exports';
import { fieldsAt } from '../hardware/schema';
import { FieldRows } from './FieldRows';
import { areWhole, type Values } from './values';

/** Where a node's exports are asked for. */
export const EXPORTS = '/ostler/nodes/{node}/exports';

const FIELDS = ['as', 'network'];

type Plan = {
  storage: string;
  server: string;
  path: string;
  dataset?: string;
  content: string[];
  clients: string[];
  upid?: string;
};

const addressOf = (node: string) => `/ostler${path('nodes', node, 'exports')}`;

/** The parameters of the plan, or of what carries it out. */
export function exportParams(storage: string, values: Values, isDry: boolean): Params {
  const params: Params = { storage };
  for (const name of FIELDS) if (values[name]) params[name] = values[name];
  return { ...params, 'dry-run': isDry ? 1 : 0 };
}

function Planned({ plan }: { plan: Plan }) {
  return (
    <div className="fx">
      <h3>{words.planned}</h3>
      <ul>
        <li>{words.new(plain(plan.storage), plan.content.join(', '))}</li>
        <li className="mono">{plain(`${plan.server}:${plan.path}`)}</li>
        {plan.dataset && <li>{words.dataset(plain(plan.dataset))}</li>}
        <li>{words.clients(plain(plan.clients.join(', ')))}</li>
      </ul>
    </div>
  );
}

type Props = { node: string; storage: string; onClose: () => void };

/** Gives a place in a storage of one node to the others. */
export function Export({ node, storage, onClose }: Props) {
  const known = fieldsAt(useOperations().data ?? [], 'POST', EXPORTS);
  const fields = FIELDS.flatMap((name) => known.get(name) ?? []);
  const [values, setValues] = useState<Values>({});
  return (
    <PlanDialog<Plan>
      title={words.export(storage)}
      submitText={words.submit}
      planText={words.plan}
      asked={JSON.stringify(values)}
      isWhole={areWhole(fields, values)}
      send={(isDry) => api.post(addressOf(node), exportParams(storage, values, isDry))}
      planned={(plan) => <Planned plan={plan} />}
      onClose={onClose}
    >
      {(errors) => (
        <>
          <p className="t2">{words.text}</p>
          <div className="fbody plain">
            <FieldRows
              fields={fields}
              values={values}
              errors={errors}
              texts={words.fields}
              onChange={setValues}
            />
          </div>
        </>
      )}
    </PlanDialog>
  );
}

/** Takes an export back, with the storage of the other nodes. */
export function Unexport({ node, storage, onClose }: Props) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const title = words.unexport(storage);
  const address = `/ostler${path('nodes', node, 'exports', storage)}`;
  return (
    <FormDialog
      title={title}
      submitText={words.takeBack}
      isDanger
      form={form}
      onSubmit={() =>
        form.submit(async () => followTask(client, title, await api.delete<string>(address)))
      }
      onClose={onClose}
    >
      <p className="t2">{words.takenBack}</p>
    </FormDialog>
  );
}
