import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { guestAction, guestPath } from '../../actions/guest';
import { api } from '../../api/client';
import type { Guest } from '../../api/resources';
import { startTask } from '../../api/tasks';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { guestAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { configKey, type Pending, waits } from './config';

/** What waits for the next start, to see, take back or bring about. */
export function PendingBanner({ guest, entries }: { guest: Guest; entries: Pending[] }) {
  const client = useQueryClient();
  const waiting = entries.filter(waits);
  if (waiting.length === 0) return null;
  const words = waiting.map((entry) =>
    entry.delete
      ? `${entry.key} ${t.hw.removed}`
      : `${entry.key} ${entry.value ?? t.none} → ${entry.pending}`,
  );
  const revert = async () => {
    await startTask(client, t.guestPage.revert, () =>
      api.put<null>(`${guestPath(guest)}/config`, {
        revert: waiting.map((entry) => entry.key).join(','),
      }),
    );
    void client.invalidateQueries({ queryKey: configKey(guest) });
  };
  const reboot = guestAction('reboot');
  return (
    <div className="banner t-warning">
      <Icon name="clock" />
      <span className="grow">
        <b className="b">{t.guestPage.pending(waiting.length)}</b>{' '}
        <span className="t2">{plain(words.join(', '))}</span>
      </span>
      <Link className="btn sm" to={`${guestAddress(guest)}/hardware`}>
        {t.guestPage.showChange}
      </Link>
      <Button kind="sm" icon="undo" onClick={() => void revert()}>
        {t.guestPage.revert}
      </Button>
      <Button
        kind="sm"
        icon="reboot"
        disabled={reboot.refuses(guest) !== undefined}
        onClick={() => reboot.run(guest, client)}
      >
        {t.guestPage.rebootNow}
      </Button>
    </div>
  );
}
