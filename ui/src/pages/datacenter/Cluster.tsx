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
type Invitation = { expires: number; information: string; token: string };

function useVotes() {
  return useQuery({
    queryKey: ['cluster', 'votes'],
    queryFn: ({ signal }) => api.get<Member[]>('/cluster/config/nodes', {}, signal),
    refetchInterval: 10000,
  });
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

function Quorum({ rows, members }: { rows: StatusRow[]; members: Member[] }) {
  const cluster = rows.find((row) => row.type === 'cluster');
  const online = new Set(rows.filter((row) => row.online).map((row) => row.name));
  const voters = members.filter((member) => Number(member.quorum_votes ?? 0) > 0);
  const present = voters.filter((member) => online.has(member.node ?? member.name ?? ''));
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

function Members({ rows, members }: { rows: StatusRow[]; members: Member[] }) {
  const votes = new Map(
    members.map((member) => [member.node ?? member.name, Number(member.quorum_votes ?? 0)]),
  );
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
          {rows
            .filter((row) => row.type === 'node')
            .map((row) => (
              <tr key={row.id}>
                <td>
                  <span className="row">
                    <Glyph kind="node" state={row.online ? 'running' : 'unknown'} />
                    <span className="name">{row.name}</span>
                    {row.local ? <span className="muted">{words.here}</span> : null}
                  </span>
                </td>
                <td className="mono">{row.ip}</td>
                <td className="t2">{votes.get(row.name) ? words.votesYes : words.votesNo}</td>
                <td>
                  {row.online ? (
                    <ToneWord tone="running" icon="check">
                      {words.online}
                    </ToneWord>
                  ) : (
                    <ToneWord tone="unknown" icon="unknown">
                      {words.offline}
                    </ToneWord>
                  )}
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
  return (
    <div className="body">
      <Loaded query={status}>
        {(rows) =>
          rows.some((row) => row.type === 'cluster') ? (
            <div className="grid gs">
              <Quorum rows={rows} members={votes.data ?? []} />
              <Members rows={rows} members={votes.data ?? []} />
              <Join />
            </div>
          ) : (
            <Alone />
          )
        }
      </Loaded>
    </div>
  );
}
