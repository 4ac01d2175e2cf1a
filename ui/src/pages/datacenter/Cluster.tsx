import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { followTask } from '../../api/tasks';
import { dateTime } from '../../format';
import { Button } from '../../parts/Button';
import { CodeBox } from '../../parts/CodeBox';
import { Glyph } from '../../parts/Glyph';
import { Icon } from '../../parts/Icon';
import { Blank, Failed, Loaded } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { ToneWord } from '../../parts/State';
import { type StatusRow, useClusterStatus } from '../../shell/Header';
import { t } from '../../texts';
import { OperationDialog } from '../records/OperationDialog';
import { CHECK_ICONS } from './checks';

const words = t.cluster;

type Member = { node?: string; name?: string; quorum_votes?: string | number; ring0_addr?: string };
/** Empty where there is none. */
type Witness = { name?: string; address?: string; votes?: number; online?: number };
/** A node or the witness. */
type Seat = {
  key: string;
  name: string;
  address?: string;
  votes: number;
  isOnline: boolean;
  /** A witness that is not needed now. */
  waits?: boolean;
  note?: string;
};
type Invitation = { expires: number; information: string; token: string };

function useVotes() {
  return useQuery({
    queryKey: ['cluster', 'votes'],
    queryFn: ({ signal }) => api.get<Member[]>('/cluster/config/nodes', {}, signal),
    refetchInterval: 10000,
  });
}

function useWitness() {
  return useQuery({
    queryKey: ['cluster', 'witness'],
    queryFn: ({ signal }) => api.get<Witness>('/ostler/cluster/witness', {}, signal),
    refetchInterval: 10000,
  });
}

function seats(rows: StatusRow[], members: Member[], witness: Witness): Seat[] {
  const votes = new Map(
    members.map((member) => [member.node ?? member.name, Number(member.quorum_votes ?? 0)]),
  );
  const nodes = rows
    .filter((row) => row.type === 'node')
    .map((row) => ({
      key: row.id,
      name: row.name,
      address: row.ip,
      votes: votes.get(row.name) ?? 0,
      isOnline: row.online === 1,
      note: row.local ? words.here : undefined,
    }));
  if (!witness.name) return nodes;
  const last = {
    key: 'witness',
    name: witness.name,
    address: witness.address,
    votes: witness.votes ?? 0,
    isOnline: witness.online === 1,
    waits: !witness.votes,
    note: words.witness,
  };
  return [...nodes, last];
}

function Alone() {
  const client = useQueryClient();
  const [isMaking, setIsMaking] = useState(false);
  return (
    <Blank icon="node" title={words.aloneTitle}>
      <p>{words.aloneText}</p>
      <Button kind="pri" onClick={() => setIsMaking(true)}>
        {words.make}
      </Button>
      {isMaking && (
        <OperationDialog
          form={{
            operation: 'cluster_create',
            method: 'POST',
            path: () => '/cluster/config',
            title: words.make,
            submit: words.make,
            fields: ['clustername'],
            onAnswer: (upid) => followTask(client, words.make, upid as string),
          }}
          onClose={() => setIsMaking(false)}
        />
      )}
    </Blank>
  );
}

function Quorum({ rows, all }: { rows: StatusRow[]; all: Seat[] }) {
  const cluster = rows.find((row) => row.type === 'cluster');
  const voters = all.filter((seat) => seat.votes > 0);
  const present = voters.filter((seat) => seat.isOnline);
  const isQuorate = cluster?.quorate === 1;
  const tone = !isQuorate ? 'error' : present.length < voters.length ? 'warning' : 'running';
  return (
    <div className={`banner t-${tone}`}>
      <Icon name={CHECK_ICONS[tone]} />
      <span className="grow">
        <b className="b">{isQuorate ? words.quorate : words.notQuorate}</b>{' '}
        <span className="t2">{words.quorumText(present.length, voters.length)}</span>
      </span>
    </div>
  );
}

function SeatState({ seat }: { seat: Seat }) {
  if (seat.waits) return <span className="muted">{words.waits}</span>;
  return seat.isOnline ? (
    <ToneWord tone="running" icon="check">
      {words.online}
    </ToneWord>
  ) : (
    <ToneWord tone="unknown" icon="unknown">
      {words.offline}
    </ToneWord>
  );
}

function Members({ all }: { all: Seat[] }) {
  return (
    <Panel title={words.members} className="grow">
      <table className="tbl">
        <thead>
          <tr>
            <th>{words.member}</th>
            <th>{words.address}</th>
            <th>{words.votes}</th>
            <th>{words.state}</th>
          </tr>
        </thead>
        <tbody>
          {all.map((seat) => (
            <tr key={seat.key}>
              <td>
                <span className="row">
                  <Glyph kind="node" state={seat.isOnline ? 'running' : 'unknown'} />
                  <span className="name">{seat.name}</span>
                  {seat.note ? <span className="muted">{seat.note}</span> : null}
                </span>
              </td>
              <td className="mono">{seat.address}</td>
              <td className="t2">{seat.votes ? words.votesYes : words.votesNo}</td>
              <td>
                <SeatState seat={seat} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Join() {
  const invite = useMutation({
    mutationFn: () => api.post<Invitation>('/ostler/cluster/invitations'),
  });
  return (
    <Panel title={words.join}>
      <div className="pad stack">
        <p className="t2">{words.joinText}</p>
        {invite.error && <Failed error={invite.error} />}
        {invite.data ? (
          <>
            <CodeBox
              title={words.command}
              text={`ostler cluster join ${invite.data.information}`}
            />
            <p className="t2">{words.witnessText}</p>
            <CodeBox
              title={words.witnessCommand}
              text={`ostler witness join ${invite.data.information} --link ADDRESS`}
            />
            <p className="muted">{words.expires(dateTime(invite.data.expires))}</p>
          </>
        ) : (
          <Button kind="pri" onClick={() => invite.mutate()} disabled={invite.isPending}>
            {words.invite}
          </Button>
        )}
      </div>
    </Panel>
  );
}

/** Quorum with its reason, members with their votes, and how another node joins. */
export default function Cluster() {
  const status = useClusterStatus();
  const votes = useVotes();
  const witness = useWitness();
  return (
    <div className="body">
      <Loaded query={status}>
        {(rows) => {
          if (!rows.some((row) => row.type === 'cluster')) return <Alone />;
          const all = seats(rows, votes.data ?? [], witness.data ?? {});
          return (
            <div className="grid gs">
              <Quorum rows={rows} all={all} />
              <Members all={all} />
              <Join />
            </div>
          );
        }}
      </Loaded>
    </div>
  );
}
