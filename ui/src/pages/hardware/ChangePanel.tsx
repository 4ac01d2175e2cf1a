import { guestPath } from '../../actions/guest';
import { KINDS } from '../../actions/kinds';
import type { Guest } from '../../api/resources';
import { Button } from '../../parts/Button';
import { CodeBox, DiffBox } from '../../parts/CodeBox';
import { Icon } from '../../parts/Icon';
import { Panel } from '../../parts/Panel';
import { t } from '../../texts';
import { commandOf, type Draft, diffOf, paramsOf, requestOf } from './change';

/** The change as configuration, request and command, and what it brings about. */
export function ChangePanel({
  guest,
  config,
  changes,
  invalid,
  isBusy,
  error,
  onApply,
  onDiscard,
}: {
  guest: Guest;
  config: Map<string, string>;
  changes: Draft;
  invalid: number;
  isBusy: boolean;
  error?: string;
  onApply: () => void;
  onDiscard: () => void;
}) {
  const { command, folder, configure } = KINDS[guest.type];
  const secret = t.create.passwordShown;
  const params = paramsOf(changes);
  const isRunning = guest.status !== 'stopped';
  const isChanged = changes.size > 0;
  return (
    <Panel
      title={t.hw.show}
      aux={isChanged ? t.hw.properties(changes.size) : undefined}
      className="hwd"
    >
      {isChanged ? (
        <div className="dbody">
          <DiffBox
            title={`/etc/pve/nodes/${guest.node}/${folder}/${guest.vmid}.conf`}
            lines={diffOf(config, changes, secret)}
          />
          <CodeBox
            title={t.hw.api}
            text={requestOf(configure.method, `${guestPath(guest)}/config`, params, secret)}
          />
          <CodeBox
            title={t.hw.command}
            text={commandOf(`${command} set ${guest.vmid}`, params, secret)}
          />
          <div className="fx">
            <h3>{t.hw.happens}</h3>
            <ul>
              <li>
                <Icon name={isRunning ? 'clock' : 'info'} className="s" />
                <span>{isRunning ? t.hw.atStart : t.hw.atOnce}</span>
              </li>
              {error && (
                <li className="tone t-error" role="alert">
                  <Icon name="x" className="s" />
                  <span>{error}</span>
                </li>
              )}
            </ul>
          </div>
        </div>
      ) : (
        <p className="pad muted">{t.hw.noChange}</p>
      )}
      <div className="pf">
        {invalid > 0 && <span className="tone t-error">{t.hw.invalid(invalid)}</span>}
        <span className="grow" />
        <Button disabled={!isChanged} onClick={onDiscard}>
          {t.hw.discard}
        </Button>
        <Button kind="pri" disabled={!isChanged || invalid > 0 || isBusy} onClick={onApply}>
          {t.hw.apply}
        </Button>
      </div>
    </Panel>
  );
}
