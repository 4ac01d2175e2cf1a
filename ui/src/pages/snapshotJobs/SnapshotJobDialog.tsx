import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { hasOperation, type Operation, useOperations } from '../../api/operations';
import { useInventory } from '../../api/stream';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { moment } from '../../format';
import { Loaded } from '../../parts/Page';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { fieldsOf } from '../hardware/schema';
import { FieldRows } from '../records/FieldRows';
import { areWhole, valuesOf } from '../records/values';
import {
  CHOICES,
  type Choice,
  choiceOf,
  fieldOfChoice,
  type Job,
  jobPath,
  KEEPS,
  paramsOf,
  SNAPSHOT_JOBS,
} from './job';

const words = t.snapshotJob;

const ANALYZE = '/cluster/jobs/schedule-analyze';
const SCHEDULES = ['2:30', '*:00', '*:0/15', 'mon..fri 22:00', 'sun 4:00', '*-*-01 3:00'];
const CHANGES = ['config', 'config,resize', 'config,resize,exec'];
const REST = [
  'node',
  ...KEEPS.map((keep) => `keep-${keep}`),
  'prefix',
  'vmstate',
  'repeat-missed',
  'enabled',
  'comment',
];

/** When a schedule is due next, as the node reads it; nothing while that is not known. */
function useNextRuns(schedule: string, table: Operation[]): string | undefined {
  const [asked] = useDebouncedValue(schedule.trim(), 400);
  const { data } = useQuery({
    queryKey: ['schedule', asked],
    queryFn: ({ signal }) =>
      api.get<{ timestamp: number }[]>(ANALYZE, { schedule: asked, iterations: 3 }, signal),
    enabled: asked !== '' && hasOperation(table, 'GET', ANALYZE),
    retry: false,
  });
  if (!data) return undefined;
  const times = data.map(({ timestamp }) => moment(timestamp));
  return times.length > 0 ? words.nextRuns(times.join('; ')) : words.noRuns;
}

/** By what the guests are said. */
function ChoiceRow({ choice, onChange }: { choice: Choice; onChange: (choice: Choice) => void }) {
  return (
    <div className="fr">
      <div className="fr-label">{t.guests.title}</div>
      <div>
        <div className="ctl">
          <Segmented<Choice>
            label={t.guests.title}
            value={choice}
            options={CHOICES.map((one) => [one, words.choices[one]])}
            onChange={onChange}
          />
        </div>
        <p className="hint">{words.choiceHints[choice]}</p>
      </div>
    </div>
  );
}

type Props = {
  /** None: a new one. */
  job?: Job;
  onClose: () => void;
};

function Opened({ job, onClose, table }: Props & { table: Operation[] }) {
  const { nodes, pools, tags } = useInventory();
  const known = fieldsOf(table, job ? 'snapshot_job_update' : 'snapshot_job_create');
  const when = ['schedule', 'before'];
  const head = job ? when : ['id', ...when];
  const before = valuesOf(job, [...head, ...CHOICES.map(fieldOfChoice), ...REST]);
  const [values, setValues] = useState(before);
  const [choice, setChoice] = useState(() => choiceOf(job));
  const { schedule } = words.fields;
  const due = useNextRuns(values.schedule ?? '', table);
  const texts = { ...words.fields, schedule: { ...schedule, hint: due ?? schedule.hint } };
  const form = useSubmit(onClose);
  const chosen = fieldOfChoice(choice);
  const fieldsNamed = (names: string[]) => names.flatMap((name) => known.get(name) ?? []);
  const parts = [head, [chosen], REST].map(fieldsNamed);
  const isChosen = choice === 'all' || values[chosen]?.trim() !== '';
  const isTimed = when.some((name) => values[name]?.trim() !== '');
  const isReady = isChosen && isTimed && areWhole(parts.flat(), values);
  const offers = {
    schedule: SCHEDULES,
    before: CHANGES,
    pool: pools.map(({ pool }) => pool),
    tag: tags,
    node: nodes.map(({ node }) => node),
  };
  const submit = () =>
    form.submit(() => {
      const params = paramsOf(values, before, choice, job?.digest);
      return job ? api.put(jobPath(job.id), params) : api.post(SNAPSHOT_JOBS, params);
    });
  const rows = parts.map((fields) => (
    <FieldRows
      key={fields[0]?.name}
      fields={fields}
      values={values}
      before={job && before}
      errors={form.fields}
      offers={offers}
      texts={texts}
      onChange={setValues}
    />
  ));
  return (
    <FormDialog
      title={job ? t.records.changeOf(job.id) : words.add}
      submitText={job ? t.save : t.records.add}
      isReady={isReady}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <div className="fbody plain">
        {rows[0]}
        <ChoiceRow choice={choice} onChange={setChoice} />
        {rows.slice(1)}
      </div>
    </FormDialog>
  );
}

/** Makes a job, or changes one. */
export function SnapshotJobDialog(props: Props) {
  const operations = useOperations();
  return <Loaded query={operations}>{(table) => <Opened table={table} {...props} />}</Loaded>;
}
