import { Link } from '@tanstack/react-router';
import { dismiss, type Toast, useToasts } from '../api/toasts';
import { plain } from '../format';
import { Ring } from '../parts/Bar';
import { IconButton } from '../parts/Button';
import { Icon, type IconName } from '../parts/Icon';
import { t } from '../texts';
import { showTask } from './view';

const ICONS: Record<Exclude<Toast['tone'], 'busy'>, IconName> = {
  running: 'check',
  warning: 'warn',
  error: 'err',
};

export function Toasts() {
  const toasts = useToasts();
  return (
    <div className="toasts" aria-live="polite">
      {toasts.map((toast) => (
        <div key={toast.id} className={`toast t-${toast.tone}`} role="status">
          {toast.tone === 'busy' ? <Ring /> : <Icon name={ICONS[toast.tone]} />}
          <span className="grow">
            <span className="toast-text">{plain(toast.text)}</span>
            {toast.detail && <span className="toast-detail">{plain(toast.detail)}</span>}
          </span>
          {toast.made && (
            <Link className="lnk" to={toast.made} onClick={() => dismiss(toast.id)}>
              {t.tasks.open}
            </Link>
          )}
          {toast.upid && (
            <button type="button" className="lnk" onClick={() => showTask(toast.upid ?? '')}>
              {t.tasks.log}
            </button>
          )}
          <IconButton icon="x" label={t.tasks.dismiss} onClick={() => dismiss(toast.id)} />
        </div>
      ))}
    </div>
  );
}
