import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/client';
import { followTask, reportError } from '../../api/tasks';
import { toast } from '../../api/toasts';
import { moment, plain } from '../../format';
import { IconButton } from '../../parts/Button';
import { TaskStateWord } from '../../shell/TaskState';
import { showTask } from '../../shell/view';
import { t } from '../../texts';
import { type RecordKind, Records, type Row, text } from '../records/Records';
import {
  guestsOf,
  isOn,
  type Job,
  jobPath,
  keepsOf,
  missedOf,
  pauseOf,
  SNAPSHOT_JOBS,
  stateOf,
  whenOf,
} from './job';
import { SnapshotJobDialog } from './SnapshotJobDialog';

const words = t.snapshotJob;

const MISSED_SHOWN = 3;

const jobOf = (row: Row) => row as unknown as Job;

/** Begins a job on each node that has guests of it. */
async function run(client: QueryClient, id: string) {
  const name = words.run(id);
  try {
    const begun = await api.post<{ node: string; upid?: string; error?: string }[]>(
      `${jobPath(id)}/run`,
    );
    for (const { node, upid, error } of begun) {
      if (error !== undefined) reportError(words.runOn(id, node), error);
      else followTask(client, words.runOn(id, node), upid ?? null);
    }
    if (begun.length === 0) toast({ tone: 'warning', text: words.runOnNone(id) });
  } catch (error) {
    reportError(name, error);
  }
  void client.invalidateQueries({ queryKey: ['records', SNAPSHOT_JOBS] });
}

/** Cells of tables are one line otherwise. */
const Wrapped = ({ children }: { children: string }) => (
  <ul className="maps">
    <li>{children}</li>
  </ul>
);

/** How the last run ended, and the task of each node. */
function LastRun({ job }: { job: Job }) {
  const last = job['last-run'];
  if (last === undefined) return <span className="muted">{words.neverRan}</span>;
  return (
    <ul className="maps">
      <li>
        <span>{moment(last)}</span>
        <TaskStateWord task={stateOf(job)} />
      </li>
      <li>
        {job.nodes.map(({ node, upid, endtime, status }) => {
          if (upid === undefined) return null;
          const isWell = endtime !== undefined && status === 'OK';
          return (
            <span key={node}>
              <button
                type="button"
                className="lnk"
                title={words.log(node)}
                onClick={() => showTask(upid)}
              >
                {plain(node)}
              </button>{' '}
              {!isWell && job.nodes.length > 1 && <TaskStateWord task={{ endtime, status }} />}
            </span>
          );
        })}
      </li>
    </ul>
  );
}

function NextRun({ job }: { job: Job }) {
  const next = job['next-run'];
  return (
    <ul className="maps">
      <li className="mono">{plain(whenOf(job))}</li>
      {job.schedule !== undefined && (
        <li className={isOn(job) ? '' : 'muted'}>
          {isOn(job) ? (next === undefined ? words.noRuns : moment(next)) : words.off}
        </li>
      )}
      {job.schedule === undefined && !isOn(job) && <li className="muted">{words.off}</li>}
    </ul>
  );
}

function Missed({ job }: { job: Job }) {
  if (job.missed === 0) return <span className="muted">{t.none}</span>;
  return (
    <ul className="maps">
      <li className="tone t-warning">{job.missed}</li>
      {missedOf(job, MISSED_SHOWN).map((one) => (
        <li key={one}>{plain(one)}</li>
      ))}
    </ul>
  );
}

/** Jobs that make snapshots by a schedule or before changes: what they did, and what they do next. */
export default function SnapshotJobs() {
  const client = useQueryClient();
  const kind: RecordKind = {
    list: SNAPSHOT_JOBS,
    pauseOf: (rows) => pauseOf(rows.map(jobOf)),
    nameOf: (row) => String(row.id),
    columns: [
      [
        words.name,
        (row) => (
          <span title={text(row, 'comment')}>
            <span className="mono">{text(row, 'id')}</span>{' '}
            <span className="muted">{text(row, 'comment')}</span>
          </span>
        ),
      ],
      [words.when, (row) => <NextRun job={jobOf(row)} />],
      [t.guests.title, (row) => <Wrapped>{plain(guestsOf(jobOf(row)))}</Wrapped>],
      [words.keepsTitle, (row) => <Wrapped>{keepsOf(jobOf(row))}</Wrapped>],
      [words.lastRun, (row) => <LastRun job={jobOf(row)} />],
      [words.missed, (row) => <Missed job={jobOf(row)} />],
    ],
    empty: { icon: 'camera', title: words.none, text: words.noneText },
    own: {
      title: words.add,
      dialog: (row, onClose) => <SnapshotJobDialog job={row && jobOf(row)} onClose={onClose} />,
    },
    more: (row) => (
      <IconButton
        icon="play"
        label={words.run(String(row.id))}
        onClick={() => void run(client, String(row.id))}
      />
    ),
    remove: (row) => api.delete(jobPath(String(row.id))),
    removes: () => words.removes,
  };
  return <Records kind={kind} />;
}
