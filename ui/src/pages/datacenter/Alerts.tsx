import { Link } from '@tanstack/react-router';
import { type Alert, alertAddress, useAlerts } from '../../api/alerts';
import { moment, plain } from '../../format';
import { Icon } from '../../parts/Icon';
import { Loaded } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { t } from '../../texts';

function Line({ alert }: { alert: Alert }) {
  return (
    <li className={`al t-${alert.severity}`}>
      <Icon name={alert.severity === 'error' ? 'err' : 'warn'} />
      <div>
        <p>{plain(alert.text)}</p>
        <p className="muted">{plain(alert.advice)}</p>
      </div>
      <span className="mono muted">{t.dc.since(moment(alert.since))}</span>
      <Link to={alertAddress(alert)}>{t.dc.open}</Link>
    </li>
  );
}

/** What is wrong now, worst first. */
export function AlertsPanel() {
  const query = useAlerts();
  return (
    <Panel title={t.dc.alerts} aux={query.data && query.data.length > 0 && query.data.length}>
      <Loaded query={query}>
        {(alerts) =>
          alerts.length === 0 ? (
            <p className="al t-running">
              <Icon name="ok" /> {t.dc.noAlerts}
            </p>
          ) : (
            <ul>
              {alerts.map((alert) => (
                <Line key={alert.id} alert={alert} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  );
}
