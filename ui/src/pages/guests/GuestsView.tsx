import { Menu } from '@mantine/core';
import { useDeferredValue, useMemo, useRef, useState } from 'react';
import type { Guest } from '../../api/resources';
import { useLive } from '../../api/stream';
import { toast } from '../../api/toasts';
import { Button, IconButton } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { Blank, Loading } from '../../parts/Page';
import { wordOf } from '../../parts/State';
import { useKeys } from '../../shell/keys';
import { t } from '../../texts';
import { BulkBar } from './BulkBar';
import { csvOf, type GuestSearch, matcherOf, sortingOf } from './filters';
import { GuestTable } from './GuestTable';
import { ordered } from './order';
import { Toolbar } from './Toolbar';
import { useWords } from './words';

const KEPT = 'ostler-columns';
const OPTIONAL = ['node', 'cpu', 'mem', 'net', 'disk', 'uptime', 'pool', 'tags'] as const;
const HIDDEN_FIRST = { disk: false, pool: false };

function readColumns(): Record<string, boolean> {
  try {
    return { ...HIDDEN_FIRST, ...JSON.parse(localStorage.getItem(KEPT) ?? '{}') };
  } catch {
    return HIDDEN_FIRST;
  }
}

async function copyCsv(guests: Guest[]) {
  const head = ['vmid', 'name', 'state', 'node', 'cpu', 'mem', 'maxmem', 'uptime', 'pool', 'tags'];
  const rows = guests.map((guest) => [
    guest.vmid,
    guest.label,
    wordOf(guest),
    guest.node,
    guest.cpu ?? 0,
    guest.mem ?? 0,
    guest.maxmem ?? 0,
    guest.uptime ?? 0,
    guest.pool ?? '',
    guest.tags ?? '',
  ]);
  await navigator.clipboard.writeText(csvOf(head, rows));
  toast({ tone: 'running', text: t.guests.csvDone(rows.length) });
}

function Columns({
  shown,
  onChange,
}: {
  shown: Record<string, boolean>;
  onChange: (shown: Record<string, boolean>) => void;
}) {
  return (
    <Menu closeOnItemClick={false} position="bottom-end">
      <Menu.Target>
        <IconButton icon="columns" label={t.guests.columnChooser} />
      </Menu.Target>
      <Menu.Dropdown>
        {OPTIONAL.map((id) => (
          <Menu.Item
            key={id}
            rightSection={shown[id] !== false && <Icon name="check" className="s" />}
            onClick={() => onChange({ ...shown, [id]: shown[id] === false })}
          >
            {t.guests.columns[id]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function Nothing({ hasGuests, onClear }: { hasGuests: boolean; onClear: () => void }) {
  return hasGuests ? (
    <Blank icon="filter" title={t.guests.noneTitle}>
      <p>{t.guests.noneText}</p>
      <Button onClick={onClear}>{t.guests.clearFilters}</Button>
    </Blank>
  ) : (
    <Blank icon="console" title={t.guests.emptyTitle}>
      <p>{t.guests.emptyText}</p>
      <a className="btn pri" href="/create">
        {t.guests.create}
      </a>
    </Blank>
  );
}

/** The table of guests with its toolbar; `fixed` is a filter that the page sets. */
export function GuestsView({
  search,
  onSearch,
  fixed,
}: {
  search: GuestSearch;
  onSearch: (search: GuestSearch) => void;
  fixed?: (guest: Guest) => boolean;
}) {
  const { inventory, isLoaded } = useLive();
  const input = useRef<HTMLInputElement>(null);
  const [shown, setShown] = useState(readColumns);
  const [chosen, setChosen] = useState(new Set<number>());
  const [words, setWords] = useWords(search, onSearch);
  // The field answers at once; a long table follows.
  const q = useDeferredValue(words);
  const { sort, state, node, pool, tag } = search;
  const all = useMemo(() => ordered(inventory.guests, sortingOf(sort)), [inventory.guests, sort]);
  const guests = useMemo(() => {
    const isMatch = matcherOf({ q, state, node, pool, tag });
    const own = fixed ? all.filter(fixed) : all;
    return isMatch ? own.filter(isMatch) : own;
  }, [all, q, state, node, pool, tag, fixed]);
  const selected = useMemo(
    () => (chosen.size === 0 ? [] : inventory.guests.filter(({ vmid }) => chosen.has(vmid))),
    [inventory, chosen],
  );
  useKeys({ f: () => input.current?.focus() });
  const changeColumns = (next: Record<string, boolean>) => {
    localStorage.setItem(KEPT, JSON.stringify(next));
    setShown(next);
  };
  if (!isLoaded) return <Loading />;
  return (
    <div className="body flush">
      <Toolbar
        outline={inventory.outline}
        search={search}
        onChange={onSearch}
        words={words}
        onWords={setWords}
        input={input}
      />
      {guests.length === 0 ? (
        <Nothing
          hasGuests={inventory.guests.length > 0}
          onClear={() => {
            setWords('');
            onSearch({ sort });
          }}
        />
      ) : (
        <GuestTable
          guests={guests}
          sort={search.sort}
          onSort={(sort) => onSearch({ ...search, sort })}
          visibility={shown}
          selection={{ chosen, setChosen }}
          tools={
            <>
              <Columns shown={shown} onChange={changeColumns} />
              <IconButton
                icon="down-tray"
                label={t.guests.csv}
                onClick={() => void copyCsv(guests)}
              />
            </>
          }
        />
      )}
      {selected.length > 0 && <BulkBar guests={selected} onClear={() => setChosen(new Set())} />}
    </div>
  );
}
