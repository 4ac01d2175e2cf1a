import { useQueryClient } from '@tanstack/react-query';
import { runForAll } from '../../actions/bulk';
import { GUEST_ACTIONS, isOffered } from '../../actions/guest';
import { knownOperations } from '../../api/operations';
import type { Guest } from '../../api/resources';
import { gib } from '../../format';
import { Button } from '../../parts/Button';
import { t } from '../../texts';

/** Actions on the selection: each applies to those that can. */
export function BulkBar({ guests, onClear }: { guests: Guest[]; onClear: () => void }) {
  const client = useQueryClient();
  const sum = (of: (guest: Guest) => number) => guests.reduce((all, guest) => all + of(guest), 0);
  const table = knownOperations(client);
  return (
    <div className="bulk" role="toolbar" aria-label={t.guests.selected(guests.length)}>
      <b className="b">{t.guests.selected(guests.length)}</b>
      <span className="muted">
        {t.guests.summary(
          gib(sum((guest) => guest.maxmem ?? 0)),
          sum((guest) => guest.maxcpu ?? 0),
        )}
      </span>
      <span className="grow" />
      <span className="group">
        {GUEST_ACTIONS.filter((action) => action.bulk).map((action) => {
          const able = guests.filter(
            (guest) => isOffered(action, guest, table) && !action.refuses(guest),
          );
          return (
            <Button
              key={action.id}
              kind="sm"
              icon={action.icon}
              disabled={able.length === 0}
              title={able.length === 0 ? t.guests.bulkNone : `${action.label} ${able.length}`}
              onClick={() => runForAll(action, able, client)}
            >
              {able.length < guests.length && able.length > 0
                ? `${action.label} ${able.length}`
                : action.label}
            </Button>
          );
        })}
      </span>
      <span className="sep" />
      <button type="button" className="btn sm quiet" onClick={onClear}>
        {t.guests.clear} <kbd>Esc</kbd>
      </button>
    </div>
  );
}
