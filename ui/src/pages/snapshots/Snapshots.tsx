import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { openDialog } from '../../actions/dialogs';
import { guestPath } from '../../actions/guest';
import { api, path } from '../../api/client';
import type { Guest } from '../../api/resources';
import { followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { moment, plain } from '../../format';
import { Button } from '../../parts/Button';
import { DiffBox } from '../../parts/CodeBox';
import { Blank, Loaded } from '../../parts/Page';
import { Facts, Panel } from '../../parts/Panel';
import { t } from '../../texts';
import { configOf, usePending } from '../guest/config';
import { useGuestOfPage } from '../guest/GuestPage';
import { type Draft, diffOf } from '../hardware/change';
import { type Placed, placed, type Snapshot } from './tree';

const ROW = 34;
const LANE = 20;
const EDGE = 20;
const words = t.snap;

function Lines({ rows, chosen }: { rows: Placed[]; chosen?: string }) {
  const lanes = Math.max(...rows.map((row) => row.lane)) + 1;
  const x = (row: Placed) => EDGE + row.lane * LANE;
  const y = (at: number) => at * ROW + ROW / 2;
  return (
    <svg
      className="snl"
      width={EDGE * 2 + (lanes - 1) * LANE}
      height={rows.length * ROW}
      aria-hidden="true"
    >
      {rows.map((row, at) => {
        const parent = row.parentRow === undefined ? undefined : rows[row.parentRow];
        if (!parent || row.parentRow === undefined) return null;
        const end = y(row.parentRow);
        const bend =
          x(row) === x(parent)
            ? `V${end}`
            : `V${end - 10}Q${x(row)} ${end} ${x(row) - 10} ${end}H${x(parent)}`;
        return (
          <path
            key={row.snapshot.name}
            className={`tl ${row.isAncestor ? '' : 'alt'}`}
            d={`M${x(row)} ${y(at)}${bend}`}
          />
        );
      })}
      {rows.map((row, at) => (
        <circle
          key={row.snapshot.name}
          className={`tc0 ${row.isNow ? 'now' : row.snapshot.name === chosen ? 'sel' : row.isAncestor ? '' : 'alt'}`}
          cx={x(row)}
          cy={y(at)}
          r="4.5"
        />
      ))}
    </svg>
  );
}

function Table({
  rows,
  chosen,
  onChoose,
}: {
  rows: Placed[];
  chosen?: string;
  onChoose: (name: string) => void;
}) {
  const lanes = Math.max(...rows.map((row) => row.lane));
  const indent = { '--indent': `${EDGE * 2 + lanes * LANE}px` } as React.CSSProperties;
  return (
    <div className="snw" style={indent}>
      <table className="tbl snt">
        <thead>
          <tr>
            <th>{words.name}</th>
            <th className="c-start">{words.taken}</th>
            <th className="c-took">{words.holds}</th>
            <th>{words.description}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ snapshot, isNow }) => (
            <tr
              key={snapshot.name}
              aria-selected={snapshot.name === chosen}
              onClick={() => !isNow && onChoose(snapshot.name)}
            >
              <td>
                {isNow ? (
                  <span className="name">{words.now}</span>
                ) : (
                  <button type="button" className="name" onClick={() => onChoose(snapshot.name)}>
                    {plain(snapshot.name)}
                  </button>
                )}
              </td>
              <td className="t2">{snapshot.snaptime ? moment(snapshot.snaptime) : ''}</td>
              <td className="t2">{isNow ? '' : snapshot.vmstate ? words.ram : words.disks}</td>
              <td className="t2 trunc">{isNow ? '' : plain(snapshot.description ?? '')}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Lines rows={rows} chosen={chosen} />
    </div>
  );
}

function useSnapshotConfig(guest: Guest, name: string) {
  return useQuery({
    queryKey: ['guest', guest.vmid, 'snapshot', name],
    queryFn: ({ signal }) =>
      api.get<Record<string, string | number>>(
        `${guestPath(guest)}${path('snapshot', name)}/config`,
        {},
        signal,
      ),
  });
}

/** Keys of the record itself, which are no configuration. */
const RECORD =
  /^(digest|snaptime|parent|vmstate|description|snapstate|running.*|meta|vmgenid|lock)$/;

function Difference({ guest, name }: { guest: Guest; name: string }) {
  const pending = usePending(guest);
  const query = useSnapshotConfig(guest, name);
  return (
    <Loaded query={query}>
      {(then) => {
        const now = configOf(pending.data ?? [], 'now');
        const changes: Draft = new Map();
        for (const [key, value] of Object.entries(then)) {
          if (!RECORD.test(key) && String(value) !== now.get(key)) changes.set(key, String(value));
        }
        for (const key of now.keys()) {
          if (!RECORD.test(key) && !(key in then)) changes.set(key, null);
        }
        return changes.size === 0 ? (
          <p className="muted">{words.same}</p>
        ) : (
          <DiffBox title={words.diff} lines={diffOf(now, changes, t.create.passwordShown)} />
        );
      }}
    </Loaded>
  );
}

function Ask({
  guest,
  snapshot,
  kind,
  onClose,
}: {
  guest: Guest;
  snapshot: Snapshot;
  kind: 'rollback' | 'remove';
  onClose: () => void;
}) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const address = `${guestPath(guest)}${path('snapshot', snapshot.name)}`;
  const submit = () =>
    form.submit(async () => {
      const upid = await (kind === 'rollback'
        ? api.post<string>(`${address}/rollback`)
        : api.delete<string>(address));
      followTask(client, `${words[kind]} ${snapshot.name} of ${guest.vmid}`, upid);
    });
  return (
    <FormDialog
      title={
        kind === 'rollback'
          ? words.rollbackTitle(snapshot.name)
          : `${words.remove} ${snapshot.name}`
      }
      submitText={words[kind]}
      isDanger
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      {kind === 'rollback' && (
        <>
          <p className="t2">{words.rollbackText(snapshot.name)}</p>
          {guest.status !== 'stopped' && <p className="t2">{words.rollbackStops}</p>}
          {snapshot.vmstate ? <p className="t2">{words.rollbackResumes}</p> : null}
        </>
      )}
    </FormDialog>
  );
}

function Chosen({ guest, snapshot, all }: { guest: Guest; snapshot: Snapshot; all: Snapshot[] }) {
  const [asks, setAsks] = useState<'rollback' | 'remove'>();
  const children = all.filter((one) => one.parent === snapshot.name && one.name !== 'current');
  return (
    <Panel title={plain(snapshot.name)} className="snr">
      <Facts
        rows={[
          [words.taken, snapshot.snaptime ? moment(snapshot.snaptime) : t.unknown],
          [words.holds, snapshot.vmstate ? words.ram : words.disks],
          [words.parent, snapshot.parent ?? t.none],
          [words.children, children.map((one) => one.name).join(', ') || t.none],
        ]}
      />
      <div className="dbody">
        <Difference guest={guest} name={snapshot.name} />
      </div>
      <div className="pf">
        <span className="grow" />
        <Button icon="trash" onClick={() => setAsks('remove')}>
          {words.remove}
        </Button>
        <Button kind="danger" icon="undo" onClick={() => setAsks('rollback')}>
          {words.rollback}
        </Button>
      </div>
      {asks && (
        <Ask guest={guest} snapshot={snapshot} kind={asks} onClose={() => setAsks(undefined)} />
      )}
    </Panel>
  );
}

function SnapshotsOf({ guest }: { guest: Guest }) {
  const [name, setName] = useState<string>();
  const query = useQuery({
    queryKey: ['guest', guest.vmid, 'snapshots'],
    queryFn: ({ signal }) => api.get<Snapshot[]>(`${guestPath(guest)}/snapshot`, {}, signal),
  });
  const take = (
    <Button kind="sm pri" icon="camera" onClick={() => openDialog('snapshot', guest)}>
      {words.take}
    </Button>
  );
  return (
    <div className="body">
      <Loaded query={query}>
        {(snapshots) => {
          if (snapshots.length <= 1) {
            return (
              <Blank icon="camera" title={words.emptyTitle}>
                <p>{words.emptyText}</p>
                {take}
              </Blank>
            );
          }
          const chosen = snapshots.find((one) => one.name === name);
          return (
            <div className="grid sn">
              <Panel title={words.title} aux={take}>
                <Table rows={placed(snapshots)} chosen={name} onChoose={setName} />
                <div className="note">{words.dashed}</div>
              </Panel>
              {chosen ? (
                <Chosen key={chosen.name} guest={guest} snapshot={chosen} all={snapshots} />
              ) : (
                <Panel title={words.diff}>
                  <p className="pad muted">{words.choose}</p>
                </Panel>
              )}
            </div>
          );
        }}
      </Loaded>
    </div>
  );
}

export default function Snapshots() {
  const guest = useGuestOfPage();
  return guest ? <SnapshotsOf guest={guest} /> : null;
}
