import { Menu } from '@mantine/core';
import type { Field } from '../../api/operations';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { t } from '../../texts';
import { textOfKey } from '../../texts/fields';
import type { Pending } from '../guest/config';
import type { Draft } from './change';
import { type Addition, freeSlot, iconOf } from './layout';
import { fieldOf } from './schema';

export function AddMenu({
  additions,
  taken,
  onAdd,
}: {
  additions: Addition[];
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
        {additions.map((addition) => {
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

/** A value for people: switches are yes and no. */
function shown(field: Field | undefined, value: string): string {
  if (field?.type !== 'boolean') return plain(value);
  return value === '1' ? t.guestPage.yes : t.guestPage.no;
}

function Value({ field, entry, draft }: { field?: Field; entry?: Pending; draft?: string | null }) {
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
  if (now !== undefined) return shown(field, now);
  const standard = field?.default && t.hw.default(shown(field, field.default));
  return <span className="muted">{standard || t.hw.unset}</span>;
}

/** The keys of a page: the value now, beside it what waits, beside it the draft. */
export function KeyList({
  keys,
  fields,
  entries,
  draft,
  chosen,
  onChoose,
}: {
  keys: string[];
  fields: Map<string, Field>;
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
              <span className="name">{isCd ? t.hw.cd : text.label}</span>
              <span className="mono muted">{key}</span>
              <span className="v trunc" title={String(value)}>
                <Value field={fieldOf(fields, key)} entry={byKey.get(key)} draft={draft.get(key)} />
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
