import { useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { guestPath } from '../../actions/guest';
import { KINDS } from '../../actions/kinds';
import { ApiError, api } from '../../api/client';
import { type Field, useOperations } from '../../api/operations';
import type { Guest } from '../../api/resources';
import { useInventory } from '../../api/stream';
import { errorText, followTask } from '../../api/tasks';
import { Button } from '../../parts/Button';
import { Blank, Loaded } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { t } from '../../texts';
import { textOfKey } from '../../texts/fields';
import {
  configKey,
  configOf,
  digestOf,
  type Pending,
  propertiesOf,
  usePending,
  waits,
} from '../guest/config';
import { labelOf } from '../guest/GuestPage';
import { useBridges } from '../node/NodeNetwork';
import { ChangePanel } from './ChangePanel';
import { changesOf, type Draft, paramsOf } from './change';
import { useCpuTypes } from './cpuTypes';
import { DiskActions } from './DiskActions';
import { KeyForm, refusalOfKey } from './KeyForm';
import { AddMenu, KeyList } from './KeyList';
import { additionsOf, isFixed, keysOf, type PageName, pagesOf } from './layout';
import { fieldOf, fieldsOf } from './schema';

/** Sends the change; a refusal points at its keys. */
function useApply(guest: Guest, onDone: () => void) {
  const client = useQueryClient();
  const [failure, setFailure] = useState<{ text?: string; fields: Record<string, string> }>({
    fields: {},
  });
  const [isBusy, setIsBusy] = useState(false);
  const apply = async (changes: Draft, digest?: string) => {
    setIsBusy(true);
    setFailure({ fields: {} });
    try {
      const address = `${guestPath(guest)}/config`;
      const { method } = KINDS[guest.type].configure;
      const upid = await api[method]<string | null>(address, paramsOf(changes, digest));
      followTask(client, `${t.hw.saved} ${guest.vmid} ${guest.label}`, upid);
      onDone();
      void client.invalidateQueries({ queryKey: configKey(guest) });
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : {};
      setFailure({ text: errorText(error), fields });
    }
    setIsBusy(false);
  };
  return { apply, isBusy, failure, clear: () => setFailure({ fields: {} }) };
}

function useOffers(guest: Guest): Record<string, string[]> {
  const bridge = useBridges(guest.node);
  const cputype = useCpuTypes(guest.type === 'qemu');
  return useMemo(() => ({ bridge, cputype }), [bridge, cputype]);
}

type Props = { guest: Guest; page: PageName; entries: Pending[]; fields: Map<string, Field> };

function Opened({ guest, page, entries, fields }: Props) {
  const { storages } = useInventory();
  const offers = useOffers(guest);
  const [draft, setDraft] = useState<Draft>(new Map());
  const [picked, setChosen] = useState<string>();
  const { apply, isBusy, failure, clear } = useApply(guest, () => setDraft(new Map()));
  // What is edited is what the next start has.
  const config = configOf(entries, 'next');
  const changes = changesOf(config, draft);
  const keys = keysOf(guest.type, page, new Map([...config, ...configOf(entries, 'now')]));
  for (const key of draft.keys()) if (!keys.includes(key)) keys.push(key);
  const known = keys.filter((key) => fieldOf(fields, key));
  // What was chosen may be gone by now.
  const chosen = picked && known.includes(picked) ? picked : known[0];
  const set = (key: string, value: string | null) => {
    clear();
    setDraft(new Map(draft).set(key, value));
  };
  const machine = (draft.has('machine') ? draft.get('machine') : config.get('machine')) ?? '';
  const invalid = [...changes].filter(([key, value]) => {
    const field = fieldOf(fields, key);
    return field && value && refusalOfKey(key, field, value, machine);
  });
  const waiting = entries.filter(waits).length;
  const field = chosen ? fieldOf(fields, chosen) : undefined;
  const value = chosen ? draft.get(chosen) : undefined;
  const was = chosen ? (config.get(chosen) ?? '') : '';
  const kind = KINDS[guest.type];
  const volume = new Map(propertiesOf(was, kind.volume)).get(kind.volume) ?? '';
  const title = labelOf(guest, page);
  const additions = additionsOf(guest.type, page).filter(({ slots: [slot = ''] }) =>
    fieldOf(fields, slot),
  );
  const storage =
    storages.find((one) => one.node === guest.node && one.content.split(',').includes(kind.content))
      ?.storage ?? 'local';
  return (
    <div className="grid hw">
      <Panel
        title={title}
        className="hwl"
        aux={
          additions.length > 0 && (
            <AddMenu
              additions={additions}
              taken={(key) => config.has(key) || draft.has(key)}
              onAdd={(key, addition) => {
                // What has no value yet is chosen in its form.
                set(key, addition.value(storage, offers.bridge?.[0] ?? 'vmbr0', key) || null);
                setChosen(key);
              }}
            />
          )
        }
      >
        <KeyList
          keys={known}
          fields={fields}
          entries={entries}
          draft={draft}
          chosen={chosen}
          onChoose={setChosen}
        />
        {waiting > 0 && <div className="pf tone t-warning">{t.hw.waits(waiting)}</div>}
      </Panel>
      <Panel
        title={
          chosen ? (
            <>
              {textOfKey(chosen).label} <span className="mono muted">{chosen}</span>
            </>
          ) : (
            title
          )
        }
        aux={
          chosen &&
          !isFixed(guest.type, chosen) &&
          (config.has(chosen) || draft.has(chosen)) && (
            <Button kind="sm danger" icon="trash" onClick={() => set(chosen, null)}>
              {t.hw.remove}
            </Button>
          )
        }
      >
        {chosen && isFixed(guest.type, chosen) ? (
          <p className="pad t2">{t.hw.fixed}</p>
        ) : chosen && field ? (
          <KeyForm
            key={chosen}
            name={chosen}
            node={guest.node}
            machine={machine}
            field={field}
            value={value === null ? '' : (value ?? was)}
            was={was}
            error={failure.fields[chosen]}
            offers={offers}
            onChange={(next) => set(chosen, next === '' ? null : next)}
          />
        ) : (
          <p className="pad muted">{known.length > 0 ? t.hw.choose : t.hw.nothing}</p>
        )}
        {chosen && kind.disks.test(chosen) && !was.includes('media=cdrom') && (
          <DiskActions key={chosen} guest={guest} disk={chosen} volume={volume} />
        )}
      </Panel>
      <ChangePanel
        guest={guest}
        config={config}
        changes={changes}
        invalid={invalid.length}
        isBusy={isBusy}
        error={failure.text}
        onApply={() => void apply(changes, digestOf(entries))}
        onDiscard={() => setDraft(new Map())}
      />
    </div>
  );
}

/** Keys at the left, the form of one in the middle, the change at the right. */
export function Editor({ guest, page }: { guest: Guest; page: PageName }) {
  const operations = useOperations();
  const pending = usePending(guest);
  if (!pagesOf(guest.type).includes(page)) return <Blank icon="gone" title={t.states.noPage} />;
  return (
    <div className="body">
      <Loaded query={operations}>
        {(table) => (
          <Loaded query={pending}>
            {(entries) => (
              <Opened
                guest={guest}
                page={page}
                entries={entries}
                fields={fieldsOf(table, KINDS[guest.type].configure.name)}
              />
            )}
          </Loaded>
        )}
      </Loaded>
    </div>
  );
}
