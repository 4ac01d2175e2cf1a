import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../../api/client';
import { hasOperation, useKnownOperations } from '../../api/operations';
import { Button } from '../../parts/Button';
import { Blank, Loaded } from '../../parts/Page';
import { useKeys } from '../../shell/keys';
import { t } from '../../texts';
import { SNAPSHOT_JOBS } from '../snapshotJobs/job';
import { Filters } from './Filters';
import { PruneDialog } from './PruneDialog';
import {
  filtered,
  inAddress,
  isRemovable,
  keyOf,
  PRUNE,
  type Search,
  SNAPSHOTS,
  type Snapshot,
  searchOf,
} from './report';
import { SnapshotTable } from './SnapshotTable';

const words = t.snapshotReport;

/** The stream has no snapshots. */
const PAUSE_MS = 30_000;

function useSnapshots() {
  return useQuery({
    // What is of nodes is read again when a task has ended.
    queryKey: ['node', '', 'snapshots'],
    queryFn: ({ signal }) => api.get<Snapshot[]>(SNAPSHOTS, {}, signal),
    refetchInterval: PAUSE_MS,
  });
}

function None() {
  const table = useKnownOperations();
  return (
    <Blank icon="camera" title={words.none}>
      <p>{words.noneText}</p>
      <span className="group">
        <Link className="btn" to="/datacenter/guests">
          {words.toGuests}
        </Link>
        {hasOperation(table, 'GET', SNAPSHOT_JOBS) && (
          <Link className="btn" to="/datacenter/snapshot-jobs">
            {words.toJobs}
          </Link>
        )}
      </span>
    </Blank>
  );
}

function Listed({ all }: { all: Snapshot[] }) {
  const search = searchOf(useSearch({ strict: false }));
  const navigate = useNavigate();
  const table = useKnownOperations();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asked, setAsked] = useState<Snapshot[]>();
  const change = (next: Search) =>
    void navigate({ to: '/datacenter/snapshots', search: inAddress(next), replace: true });
  const rows = filtered(all, search);
  // What the filters hide is not meant.
  const picked = rows.filter((one) => isRemovable(one) && chosen.has(keyOf(one)));
  const canRemove = hasOperation(table, 'POST', PRUNE);
  const close = () => setAsked(undefined);
  const clear = () => setChosen(new Set());
  const done = () => {
    close();
    clear();
  };
  useKeys({
    'ctrl+a': () => canRemove && setChosen(new Set(rows.filter(isRemovable).map(keyOf))),
    escape: clear,
  });
  return (
    <>
      <div className="toolbar">
        <Filters all={all} search={search} onChange={change} />
        <span className="grow" />
        <span className="muted">{words.shown(rows.length, all.length)}</span>
      </div>
      {rows.length === 0 ? (
        <Blank icon="filter" title={words.noneMatches}>
          <p>{words.noneMatchesText}</p>
          <Button onClick={() => change({})}>{t.guests.clearFilters}</Button>
        </Blank>
      ) : (
        <SnapshotTable rows={rows} selection={canRemove ? { chosen, setChosen } : undefined} />
      )}
      {picked.length > 0 && (
        <div className="bulk" role="toolbar" aria-label={t.guests.selected(picked.length)}>
          <b className="b">{t.guests.selected(picked.length)}</b>
          <span className="grow" />
          <Button kind="sm" icon="trash" onClick={() => setAsked(picked)}>
            {words.remove}
          </Button>
          <span className="sep" />
          <button type="button" className="btn sm quiet" onClick={clear}>
            {t.guests.clear} <kbd>Esc</kbd>
          </button>
        </div>
      )}
      {asked && <PruneDialog chosen={asked} onDone={done} onClose={close} />}
    </>
  );
}

/** The snapshots of all guests by their age, and the removal of those that are chosen. */
export default function SnapshotReport() {
  const query = useSnapshots();
  return (
    <div className="body flush">
      <Loaded query={query}>{(all) => (all.length === 0 ? <None /> : <Listed all={all} />)}</Loaded>
    </div>
  );
}
