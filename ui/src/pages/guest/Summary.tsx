import { Textarea } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { guestPath } from '../../actions/guest';
import { api } from '../../api/client';
import type { Guest } from '../../api/resources';
import { startTask, useTasks } from '../../api/tasks';
import { bytes, moment, plain } from '../../format';
import { Graphs } from '../../graphs/Graphs';
import { useGuestNow } from '../../graphs/guestNow';
import { guestGraphs } from '../../graphs/kinds';
import { Button } from '../../parts/Button';
import { Facts, Panel } from '../../parts/Panel';
import { TaskStateWord } from '../../shell/TaskState';
import { guestAddress } from '../../shell/treeRows';
import { showTask } from '../../shell/view';
import { t, taskWord } from '../../texts';
import { configKey, configOf, propertiesOf, usePending } from './config';
import { useGuestOfPage } from './GuestPage';
import { PendingBanner } from './PendingBanner';

type Status = {
  qmpstatus?: string;
  'running-machine'?: string;
  'running-qemu'?: string;
  pid?: number;
  agent?: number;
  ha?: { managed?: number; state?: string };
};

const EVENTS = 8;
const DISKS = /^(ide|sata|scsi|virtio)\d+$/;
const NETS = /^net\d+$/;

function useStatus(guest: Guest) {
  return useQuery({
    queryKey: ['guest', guest.vmid, 'status', guest.status],
    queryFn: ({ signal }) => api.get<Status>(`${guestPath(guest)}/status/current`, {}, signal),
  });
}

/** `scsi0` 32G local: the key, then what a glance wants of the value. */
function deviceLines(config: Map<string, string>, keys: RegExp, words: (text: string) => string) {
  const lines = [...config].filter(([key]) => keys.test(key));
  if (lines.length === 0) return t.none;
  return lines.map(([key, value]) => (
    <div key={key} className="trunc" title={value}>
      <span className="mono">{key}</span> <span className="t2">{plain(words(value))}</span>
    </div>
  ));
}

/** `20240K` as `20 MiB`. */
function sizeWords(size: string): string {
  const [, number, unit = ''] = /^([\d.]+)([KMGT]?)$/.exec(size) ?? [];
  if (number === undefined) return size;
  return bytes(Number(number) * 1024 ** ['', 'K', 'M', 'G', 'T'].indexOf(unit));
}

function diskWords(text: string) {
  const properties = new Map(propertiesOf(text, 'file'));
  const [store] = (properties.get('file') ?? '').split(':');
  const media = properties.get('media') === 'cdrom' ? 'CD' : undefined;
  const size = properties.get('size');
  return [size ? sizeWords(size) : media, store].filter(Boolean).join(', ');
}

function netWords(text: string) {
  const properties = propertiesOf(text);
  const get = (key: string) => properties.find(([name]) => name === key)?.[1];
  const [model] = properties[0] ?? [];
  const tag = get('tag');
  return [model, get('bridge'), tag && `VLAN ${tag}`].filter(Boolean).join(', ');
}

function factRows(
  guest: Guest,
  config: Map<string, string>,
  status: Status,
): [string, ReactNode][] {
  const fact = t.guestPage.fact;
  const sockets = Number(config.get('sockets') ?? 1);
  const [machine = '', bios = ''] = [config.get('machine') ?? '', config.get('bios') ?? 'seabios'];
  const agent = config.get('agent');
  const rows: [string, ReactNode][] = [
    [fact.guest, [machine || status['running-machine'], bios].filter(Boolean).join(', ')],
    [fact.system, config.get('ostype') ?? 'other'],
    [fact.agent, agent && !agent.startsWith('0') ? t.guestPage.agentOn : t.guestPage.agentOff],
    [
      fact.processors,
      `${guest.maxcpu ?? 1} ${t.guestPage.sockets(sockets, config.get('cpu')?.split(',')[0] ?? 'kvm64')}`,
    ],
    [fact.memory, bytes(guest.maxmem ?? 0)],
    [fact.disk, deviceLines(config, DISKS, diskWords)],
    [fact.network, deviceLines(config, NETS, netWords)],
    [fact.boot, config.get('onboot') === '1' ? t.guestPage.yes : t.guestPage.no],
  ];
  if (status.ha?.managed) rows.push([fact.ha, status.ha.state ?? t.guestPage.yes]);
  if (status['running-qemu']) rows.push(['QEMU', status['running-qemu']]);
  if (status.pid) rows.push([fact.pid, status.pid]);
  return rows;
}

function Events({ guest }: { guest: Guest }) {
  const tasks = useTasks()
    .filter((task) => task.id === String(guest.vmid))
    .slice(0, EVENTS);
  return (
    <Panel
      title={t.guestPage.events}
      aux={<Link to={`${guestAddress(guest)}/tasks`}>{t.guestPage.eventsAll}</Link>}
    >
      {tasks.length === 0 ? (
        <p className="pad muted">{t.guestPage.noEvents}</p>
      ) : (
        <ul className="events">
          {tasks.map((task) => (
            <li key={task.upid}>
              <button type="button" className="ev" onClick={() => showTask(task.upid)}>
                <span className="mono muted">{moment(task.starttime)}</span>
                <span className="trunc">
                  {taskWord(task.type)} <span className="muted">{plain(task.user)}</span>
                </span>
                <TaskStateWord task={task} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Notes({ guest, text }: { guest: Guest; text: string }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<string>();
  const save = async () => {
    const isSaved = await startTask(client, t.guestPage.notes, () =>
      api.put<null>(`${guestPath(guest)}/config`, { description: draft }),
    );
    if (!isSaved) return;
    setDraft(undefined);
    void client.invalidateQueries({ queryKey: configKey(guest) });
  };
  if (draft === undefined) {
    return (
      <Panel
        title={t.guestPage.notes}
        aux={
          <button type="button" className="lnk" onClick={() => setDraft(text)}>
            {t.guestPage.edit}
          </button>
        }
      >
        <p className={`pad notes ${text ? '' : 'muted'}`}>
          {text ? plain(text) : t.guestPage.noNotes}
        </p>
      </Panel>
    );
  }
  return (
    <Panel title={t.guestPage.notes}>
      <div className="pad">
        <Textarea
          autosize
          autoFocus
          minRows={4}
          maxRows={16}
          aria-label={t.guestPage.notes}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
        />
      </div>
      <div className="pf">
        <span className="grow" />
        <Button kind="sm" onClick={() => setDraft(undefined)}>
          {t.cancel}
        </Button>
        <Button kind="sm pri" onClick={() => void save()}>
          {t.save}
        </Button>
      </div>
    </Panel>
  );
}

export default function Summary() {
  const guest = useGuestOfPage();
  return guest ? <SummaryOf guest={guest} /> : null;
}

function SummaryOf({ guest }: { guest: Guest }) {
  const pending = usePending(guest);
  const status = useStatus(guest);
  const now = useGuestNow(guest);
  const entries = pending.data ?? [];
  const config = configOf(entries, 'now');
  return (
    <div className="body">
      <div className="grid gs">
        <PendingBanner guest={guest} entries={entries} />
        <div className="stack">
          <Graphs path={guestPath(guest)} graphs={guestGraphs(guest)} now={now} />
          <Events guest={guest} />
        </div>
        <div className="stack">
          <Panel
            title={t.guestPage.facts}
            aux={<Link to={`${guestAddress(guest)}/hardware`}>{t.guestPage.tabs.hardware}</Link>}
          >
            <Facts rows={factRows(guest, config, status.data ?? {})} />
          </Panel>
          <Notes guest={guest} text={config.get('description') ?? ''} />
        </div>
      </div>
    </div>
  );
}
