import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, type Params, path } from '../../api/client';
import { useOperations } from '../../api/operations';
import { followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
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

/** Gives a place in a storage of one node to the others. The plan first: nothing is exported before it
 * is shown. */
export function Export({ node, storage, onClose }: Props) {
  const client = useQueryClient();
  const form = useSubmit(() => {});
  const known = fieldsAt(useOperations().data ?? [], 'POST', EXPORTS);
  const fields = FIELDS.flatMap((name) => known.get(name) ?? []);
  const [values, setValues] = useState<Values>({});
  const [answer, setAnswer] = useState<{ asked: string; plan: Plan }>();
  const asked = JSON.stringify(values);
  const plan = answer?.asked === asked ? answer.plan : undefined;
  const title = words.export(storage);
  const send = (isDry: boolean) =>
    api.post<Plan>(addressOf(node), exportParams(storage, values, isDry));
  const ask = () => form.submit(async () => setAnswer({ asked, plan: await send(true) }));
  const carryOut = () =>
    form.submit(async () => {
      const { upid } = await send(false);
      followTask(client, title, upid ?? null);
      onClose();
    });
  return (
    <FormDialog
      title={title}
      submitText={words.submit}
      isReady={plan !== undefined}
      form={form}
      onSubmit={() => void carryOut()}
      onClose={onClose}
      size="lg"
    >
      <p className="t2">{words.text}</p>
      <div className="fbody plain">
        <FieldRows
          fields={fields}
          values={values}
          errors={form.fields}
          texts={words.fields}
          onChange={setValues}
        />
      </div>
      {/* Not the button that exports: a second click would do what was not seen. */}
      {plan ? (
        <Planned plan={plan} />
      ) : (
        <Button disabled={!areWhole(fields, values) || form.isBusy} onClick={() => void ask()}>
          {words.plan}
        </Button>
      )}
    </FormDialog>
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
