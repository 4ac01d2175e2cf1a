import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { plain } from '../../format';
import { IconButton } from '../../parts/Button';
import { Loaded } from '../../parts/Page';
import { t } from '../../texts';
import { OperationDialog } from './OperationDialog';
import { textOfParam } from './words';

const OPTIONS = [
  'keyboard',
  'language',
  'console',
  'mac_prefix',
  'max_workers',
  'migration',
  'bwlimit',
  'next-id',
  'http_proxy',
  'email_from',
  'registered-tags',
  'user-tag-access',
  'tag-style',
  'description',
];

const ADMISSION = ['memory-ratio', 'memory-reserve', 'cpu-ratio', 'cpu-reserve', 'mode'];
const ISOLATION = ['tags', 'pools', 'bridges'];

/** A value as the request takes it: objects are property strings. */
function textOfValue(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.join(';');
  if (typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([key, one]) => `${key}=${one}`)
    .join(',');
}

/** Options that one operation shows and another one changes, a line each. */
function Options({
  path,
  update,
  keys,
}: {
  path: string;
  /** The operation that changes them. */
  update: string;
  keys: string[];
}) {
  const [changed, setChanged] = useState<string>();
  const query = useQuery({
    queryKey: ['records', path],
    queryFn: ({ signal }) => api.get<Record<string, unknown>>(path, {}, signal),
  });
  return (
    <Loaded query={query}>
      {(options) => (
        <>
          <table className="tbl records options">
            <thead>
              <tr>
                <th>{t.options.key}</th>
                <th>{t.options.value}</th>
                <th className="c-ac">
                  <span className="vh">{t.actions}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => {
                const { label } = textOfParam(key);
                const value = textOfValue(options[key]);
                return (
                  <tr key={key}>
                    <td>
                      <span className="name">{label}</span>{' '}
                      <span className="mono muted">{key}</span>
                    </td>
                    <td className="t2 trunc">
                      {value ? plain(value) : <span className="muted">{t.hw.unset}</span>}
                    </td>
                    <td className="c-ac">
                      <IconButton
                        icon="edit"
                        label={`${t.guestPage.edit} ${label}`}
                        onClick={() => setChanged(key)}
                      />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
          {changed && (
            <OperationDialog
              form={{
                operation: update,
                method: 'PUT',
                path: () => path,
                title: textOfParam(changed).label,
                submit: t.save,
                fields: [changed],
                values: { [changed]: textOfValue(options[changed]) },
                deletes: true,
              }}
              onClose={() => setChanged(undefined)}
            />
          )}
        </>
      )}
    </Loaded>
  );
}

export default function DcOptions() {
  return (
    <div className="body flush scrolls">
      <Options path="/cluster/options" update="cluster_options_update" keys={OPTIONS} />
      <h2 className="part">{t.admission.title}</h2>
      <Options path="/ostler/admission" update="ostler_admission_update" keys={ADMISSION} />
      <h2 className="part">{t.options.isolation}</h2>
      <Options path="/ostler/isolation" update="ostler_isolation_update" keys={ISOLATION} />
    </div>
  );
}
