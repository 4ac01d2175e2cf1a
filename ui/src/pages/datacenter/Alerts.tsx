import { Link } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { alertAddress, unacknowledge, unknownAlerts } from '../../api/alerts';
import type { Alert } from '../../api/resources';
import { useAlerts, useLive } from '../../api/stream';
import { reportError } from '../../api/tasks';
import { moment, plain } from '../../format';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { Loading } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { t } from '../../texts';

const Acknowledge = lazy(() => import('../../dialogs/Acknowledge'));

function Known({ alert }: { alert: Alert }) {
  if (!alert.acknowledged) return <p className="muted">{plain(alert.advice)}</p>;
  const { by, at, comment } = alert.acknowledged;
  return (
    <p className="muted">
      {t.alert.known(plain(by), moment(at))}
      {comment && `: ${plain(comment)}`}
    </p>
  );
}

function Line({ alert, onAcknowledge }: { alert: Alert; onAcknowledge: () => void }) {
  const isKnown = alert.acknowledged !== undefined;
  const takeBack = () =>
    unacknowledge(alert.id).catch((error) => reportError(t.alert.unacknowledge, error));
  return (
    <li className={`al t-${alert.severity} ${isKnown ? 'known' : ''}`}>
      <Icon name={alert.severity === 'error' ? 'err' : 'warn'} />
      <div>
        <p>{plain(alert.text)}</p>
        <Known alert={alert} />
      </div>
      <span className="mono muted">{t.dc.since(moment(alert.since))}</span>
      <span className="acts">
        <Link to={alertAddress(alert)}>{t.dc.open}</Link>
        {isKnown ? (
          <Button kind="quiet sm" onClick={takeBack}>
            {t.alert.unacknowledge}
          </Button>
        ) : (
          <Button kind="sm" onClick={onAcknowledge}>
            {t.alert.acknowledge}
          </Button>
        )}
      </span>
    </li>
  );
}

/** What is wrong now, worst first. */
export function AlertsPanel() {
  const alerts = useAlerts();
  const { isLoaded } = useLive();
  const [asked, setAsked] = useState<Alert>();
  const count = unknownAlerts(alerts).length;
  return (
    <Panel title={t.dc.alerts} aux={count > 0 && count}>
      {!isLoaded && <Loading />}
      {isLoaded && alerts.length === 0 && (
        <p className="al t-running">
          <Icon name="ok" /> {t.dc.noAlerts}
        </p>
      )}
      {alerts.length > 0 && (
        <ul>
          {alerts.map((alert) => (
            <Line key={alert.id} alert={alert} onAcknowledge={() => setAsked(alert)} />
          ))}
        </ul>
      )}
      <Suspense fallback={null}>
        {asked && <Acknowledge alert={asked} onClose={() => setAsked(undefined)} />}
      </Suspense>
    </Panel>
  );
}
