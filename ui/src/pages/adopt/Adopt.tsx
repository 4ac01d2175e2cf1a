import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { ApiError, api } from '../../api/client';
import type { Field } from '../../api/operations';
import { useSession } from '../../api/session';
import { followTask } from '../../api/tasks';
import { useSubmit } from '../../dialogs/Frame';
import { Button } from '../../parts/Button';
import { Blank } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { Served } from '../../parts/Served';
import { showTask } from '../../shell/view';
import { t } from '../../texts';
import { adopt as words } from '../../texts/adopt';
import { fieldsAt } from '../hardware/schema';
import { useNodeOfPage } from '../node/NodePage';
import { FieldRows } from '../records/FieldRows';
import { areWhole, type Values } from '../records/values';
import {
  ADOPT,
  type Asked,
  adopted,
  adoptPath,
  confirmOf,
  countsOf,
  FIELDS,
  mayAdopt,
  type Plan,
  paramsOf,
  stepOf,
  vmidsOf,
} from './adopt';
import { PlanTables } from './PlanTables';

/** The plans of a page: the one of all guests, and the one that would be carried out. */
function usePlans(node: string) {
  const client = useQueryClient();
  const form = useSubmit(() => {});
  const [all, setAll] = useState<Asked>();
  const [asked, setAsked] = useState<Asked>();
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const [upid, setUpid] = useState<string>();
  const ask = async (values: Values, vmids?: number[]): Promise<Asked> => {
    const plan = await api.post<Plan>(adoptPath(node), paramsOf(values, vmids));
    return { values, vmids, plan };
  };
  const askAll = (values: Values) =>
    form.submit(async () => {
      const next = await ask(values);
      setAll(next);
      setAsked(next);
      setChosen(new Set(adopted(next.plan)));
    });
  const askSome = ({ values, plan }: Asked) =>
    form.submit(async () => setAsked(await ask(values, vmidsOf(plan, chosen))));
  const take = (one: Asked) =>
    form.submit(async () => {
      try {
        const begun = await api.post<Plan>(adoptPath(node), confirmOf(one));
        followTask(client, words.task(node), begun.upid ?? null);
        if (begun.upid) showTask(begun.upid);
        setUpid(begun.upid);
        setAll(undefined);
      } catch (error) {
        if (!(error instanceof ApiError) || !error.fields.confirm) throw error;
        // The plan is another one by now, and has not been seen.
        setAsked(undefined);
        throw new ApiError(error.status, words.changed);
      }
    });
  const again = () => setUpid(undefined);
  return { form, all, asked, chosen, setChosen, upid, askAll, askSome, take, again };
}

type Plans = ReturnType<typeof usePlans>;

function Refusal({ text }: { text?: string }) {
  return (
    text && (
      <span className="hint e" role="alert">
        {text}
      </span>
    )
  );
}

/** What would happen, and the button for it; a plan that is not the one shown is asked for first. */
function Foot({ all, values, plans }: { all: Asked; values: Values; plans: Plans }) {
  const { form, asked, chosen } = plans;
  const step = stepOf(all, asked, values, chosen);
  const text = asked && step === 'take' ? words.takes(...countsOf(asked.plan)) : words.steps[step];
  const some = vmidsOf(all.plan, chosen) ?? adopted(all.plan);
  return (
    <Panel title={words.take}>
      <p className="pad t2">{text}</p>
      <div className="pf">
        <Refusal text={form.error} />
        <span className="grow" />
        {step === 'choice' ? (
          <Button kind="pri" disabled={form.isBusy} onClick={() => void plans.askSome(all)}>
            {words.planOf(some.length)}
          </Button>
        ) : (
          <Button
            kind="pri"
            disabled={form.isBusy || step !== 'take'}
            onClick={() => asked && void plans.take(asked)}
          >
            {words.take}
          </Button>
        )}
      </div>
    </Panel>
  );
}

function Begun({ upid, onAgain }: { upid: string; onAgain: () => void }) {
  return (
    <Blank icon="down-tray" title={words.begun}>
      <p>{words.begunText}</p>
      <span className="group">
        <Button icon="list" onClick={() => showTask(upid)}>
          {words.log}
        </Button>
        <Button onClick={onAgain}>{words.again}</Button>
      </span>
    </Blank>
  );
}

function Opened({ node, known }: { node: string; known: Map<string, Field> }) {
  const [values, setValues] = useState<Values>({});
  const plans = usePlans(node);
  const { form, all, asked, chosen, upid } = plans;
  const fields = FIELDS.flatMap((name) => known.get(name) ?? []);
  const isReady = areWhole(fields, values) && !form.isBusy;
  if (upid) return <Begun upid={upid} onAgain={plans.again} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) void plans.askAll(values);
  };
  return (
    <div className="stack">
      <Panel title={words.source}>
        <form onSubmit={submit}>
          <p className="pad t2">{words.intro}</p>
          <div className="fbody">
            <FieldRows
              fields={fields}
              values={values}
              errors={form.fields}
              texts={words.fields}
              onChange={setValues}
            />
          </div>
          <div className="pf">
            {!all && <Refusal text={form.error} />}
            <span className="grow" />
            <Button type="submit" kind={all ? '' : 'pri'} disabled={!isReady}>
              {words.plan}
            </Button>
          </div>
        </form>
      </Panel>
      {all && (
        <>
          <PlanTables
            all={all.plan}
            plan={(asked ?? all).plan}
            chosen={chosen}
            onChoose={plans.setChosen}
          />
          <Foot all={all} values={values} plans={plans} />
        </>
      )}
    </div>
  );
}

/** Takes over guests and storages of a Proxmox VE: the plan first, then what was chosen of it. */
export default function Adopt() {
  const node = useNodeOfPage();
  const session = useSession();
  if (session.state !== 'in' || !mayAdopt(session.user)) {
    return (
      <Blank icon="lock" title={t.states.forbidden}>
        <p>{t.states.rootHint}</p>
      </Blank>
    );
  }
  return (
    <div className="body">
      <Served method="POST" path={ADOPT}>
        {(table) => <Opened key={node} node={node} known={fieldsAt(table, 'POST', ADOPT)} />}
      </Served>
    </div>
  );
}
