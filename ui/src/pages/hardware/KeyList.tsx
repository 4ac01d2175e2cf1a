import { Menu } from '@mantine/core';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { t } from '../../texts';
import { textOfKey } from '../../texts/fields';
import type { Pending } from '../guest/config';
import type { Draft } from './change';
import { ADDITIONS, type Addition, freeSlot, iconOf } from './layout';

export function AddMenu({
  taken,
  onAdd,
}: {
  taken: (key: string) => boolean;
  onAdd: (key: string, addition: Addition) => void;
}) {
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button kind="sm" icon="plus">
          {t.hw.add}
        </Button>
      </Menu.Target>
      <Menu.Dropdown className="scrolls">
        {ADDITIONS.map((addition) => {
          const slot = freeSlot(addition, taken);
          return (
            <Menu.Item
              key={addition.label}
              leftSection={<Icon name={addition.icon} className="s" />}
              rightSection={slot && <span className="mono muted">{slot}</span>}
              disabled={!slot}
              title={slot ? undefined : t.hw.slotsFull(addition.label)}
              onClick={() => slot && onAdd(slot, addition)}
            >
              {addition.label}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}

function Value({ entry, draft }: { entry?: Pending; draft?: string | null }) {
  const now = entry?.value === undefined ? undefined : String(entry.value);
  if (draft !== undefined && draft !== (now ?? null)) {
    return (
      <>
        {now && <s className="muted">{plain(now)}</s>}{' '}
        <span className="drafted">{draft === null ? t.hw.removed : plain(draft)}</span>
      </>
    );
  }
  if (entry?.delete) {
    return (
      <>
        <s className="muted">{plain(now ?? '')}</s>{' '}
        <span className="tone t-warning">{t.hw.removed}</span>
      </>
    );
  }
  if (entry?.pending !== undefined) {
    return (
      <>
        {now && <s className="muted">{plain(now)}</s>}{' '}
        <span className="tone t-warning">{plain(String(entry.pending))}</span>
      </>
    );
  }
  return now === undefined ? <span className="muted">{t.hw.unset}</span> : plain(now);
}

/** The keys of a page: the value now, beside it what waits, beside it the draft. */
export function KeyList({
  keys,
  entries,
  draft,
  chosen,
  onChoose,
}: {
  keys: string[];
  entries: Pending[];
  draft: Draft;
  chosen?: string;
  onChoose: (key: string) => void;
}) {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  return (
    <ul className="keys">
      {keys.map((key) => {
        const text = textOfKey(key);
        const value = draft.get(key) ?? byKey.get(key)?.value ?? '';
        const isCd = String(value).includes('media=cdrom');
        return (
          <li key={key}>
            <button
              type="button"
              className="key"
              aria-pressed={key === chosen}
              onClick={() => onChoose(key)}
            >
              <Icon name={isCd ? 'cd' : iconOf(key)} />
              <span className="name">{isCd ? 'CD drive' : text.label}</span>
              <span className="mono muted">{key}</span>
              <span className="v trunc" title={String(value)}>
                <Value entry={byKey.get(key)} draft={draft.get(key)} />
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
