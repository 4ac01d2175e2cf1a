import { Textarea } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link as To } from '@tanstack/react-router';
import { useState } from 'react';
import { guestPath, offers } from '../../actions/guest';
import { useGuestAdmission } from '../../api/admission';
import { api } from '../../api/client';
import { useOperations } from '../../api/operations';
import type { Guest } from '../../api/resources';
import { startTask, useTasks } from '../../api/tasks';
import { plain } from '../../format';
import { Graphs } from '../../graphs/Graphs';
import { useGuestNow } from '../../graphs/guestNow';
import { guestGraphs } from '../../graphs/kinds';
import { Button } from '../../parts/Button';
import { Loading } from '../../parts/Page';
import { Facts, Panel } from '../../parts/Panel';
import { Events } from '../../shell/Events';
import { guestAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { configKey, configOf, usePending } from './config';
import { containerFacts, type Link, roomFacts, type Status, vmFacts } from './facts';
import { labelOf, useGuestOfPage } from './GuestPage';
import { PendingBanner } from './PendingBanner';

const EVENTS = 8;

function useStatus(guest: Guest) {
  return useQuery({
    queryKey: ['guest', guest.vmid, 'status', guest.status],
    queryFn: ({ signal }) => api.get<Status>(`${guestPath(guest)}/status/current`, {}, signal),
  });
}

/** The links inside of a container that runs, with their addresses. */
function useLinks(guest: Guest) {
  const table = useOperations().data;
  const isThere = table !== undefined && offers(table, guest, 'GET', '/interfaces');
  return useQuery({
    queryKey: ['guest', guest.vmid, 'interfaces', guest.status],
    queryFn: ({ signal }) => api.get<Link[]>(`${guestPath(guest)}/interfaces`, {}, signal),
    enabled: isThere && guest.type === 'lxc' && guest.status === 'running',
  });
}

function Recent({ guest }: { guest: Guest }) {
  const tasks = useTasks().filter((task) => task.id === String(guest.vmid));
  return (
    <Panel
      title={t.guestPage.events}
      aux={<To to={`${guestAddress(guest)}/tasks`}>{t.guestPage.eventsAll}</To>}
    >
      <Events tasks={tasks.slice(0, EVENTS)} none={t.guestPage.noEvents} />
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
  const links = useLinks(guest);
  const room = useGuestAdmission(guest).data;
  const now = useGuestNow(guest);
  const entries = pending.data ?? [];
  const config = configOf(entries, 'now');
  const facts =
    guest.type === 'lxc'
      ? containerFacts(guest, config, status.data ?? {}, links.data)
      : vmFacts(guest, config, status.data ?? {});
  return (
    <div className="body">
      <div className="grid gs">
        <PendingBanner guest={guest} entries={entries} />
        <div className="stack">
          <Graphs path={guestPath(guest)} graphs={guestGraphs(guest)} now={now} />
          <Recent guest={guest} />
        </div>
        <div className="stack">
          <Panel
            title={t.guestPage.facts}
            aux={<To to={`${guestAddress(guest)}/hardware`}>{labelOf(guest, 'hardware')}</To>}
          >
            {pending.data ? <Facts rows={[...facts, ...roomFacts(room)]} /> : <Loading />}
          </Panel>
          <Notes guest={guest} text={config.get('description') ?? ''} />
        </div>
      </div>
    </div>
  );
}
