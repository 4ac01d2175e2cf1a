import { useDeferredValue, useMemo, useState } from 'react';
import { type Field, type Operation, useOperations } from '../../api/operations';
import { Icon } from '../../parts/Icon';
import { Loaded, PageHead } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { hasWords } from '../../shell/treeRows';
import { t } from '../../texts';
import { choicesOf } from '../hardware/schema';

const words = t.apiPage;
const SHOWN = 400;

function limitsOf(field: Field): string {
  const { format } = field;
  const properties = typeof format === 'object' ? Object.keys(format).join(', ') : format;
  return [
    choicesOf(field)?.join(', '),
    field.minimum !== undefined && words.from(field.minimum),
    field.maximum !== undefined && words.to(field.maximum),
    properties,
    field.default !== undefined && t.hw.default(field.default),
  ]
    .filter(Boolean)
    .join('; ');
}

function Params({ operation }: { operation: Operation }) {
  if (operation.params.length === 0) return <p className="pad muted">{words.noParams}</p>;
  return (
    <div className="tblw">
      <table className="tbl api">
        <thead>
          <tr>
            <th>{words.name}</th>
            <th>{words.type}</th>
            <th>{words.limits}</th>
          </tr>
        </thead>
        <tbody>
          {operation.params.map((field) => (
            <tr key={field.name} className={field.unbuilt === 1 ? 'off' : ''}>
              <td>
                <span className="name mono">{field.name}</span>
                {!field.optional && <span className="muted"> {words.required}</span>}
                {field.unbuilt === 1 && <span className="muted"> {words.unbuilt}</span>}
              </td>
              <td className="t2">{field.type}</td>
              <td className="t2 wraps">{limitsOf(field)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Details({ operation }: { operation: Operation }) {
  const json = (value: unknown) => JSON.stringify(value, null, 2);
  return (
    <div className="stack">
      <Panel title={operation.summary} aux={<span className="mono">{operation.name}</span>}>
        <Params operation={operation} />
      </Panel>
      <Panel title={words.needs}>
        <pre className="code pad">{json(operation.permissions ?? 'root@pam')}</pre>
      </Panel>
      <Panel title={words.returns}>
        <pre className="code pad">{json(operation.returns)}</pre>
      </Panel>
    </div>
  );
}

function Browser({ operations }: { operations: Operation[] }) {
  const [find, setFind] = useState('');
  const [chosen, setChosen] = useState(0);
  const deferred = useDeferredValue(find);
  const shown = useMemo(
    () =>
      operations
        .filter((one) => hasWords(`${one.method} ${one.path} ${one.summary}`, deferred))
        .slice(0, SHOWN),
    [operations, deferred],
  );
  const operation = operations[chosen];
  return (
    <div className="body">
      <div className="grid api-grid">
        <Panel
          title={words.operations}
          aux={
            <label className="inp sm">
              <Icon name="search" className="s" />
              <input
                aria-label={words.find}
                placeholder={words.find}
                value={find}
                onChange={(event) => setFind(event.target.value)}
              />
            </label>
          }
        >
          <ul className="keys">
            {shown.map((one) => {
              const index = operations.indexOf(one);
              return (
                <li key={`${one.method} ${one.path}`}>
                  <button
                    type="button"
                    className="op"
                    aria-pressed={index === chosen}
                    onClick={() => setChosen(index)}
                  >
                    <span className="mono verb">{one.method}</span>
                    <span className="mono trunc" title={one.path}>
                      {one.path}
                    </span>
                  </button>
                </li>
              );
            })}
          </ul>
        </Panel>
        {operation && <Details operation={operation} />}
      </div>
    </div>
  );
}

/** All operations of this node, from the table that answers them. */
export default function ApiViewer() {
  const query = useOperations();
  return (
    <>
      <PageHead
        glyph={<Icon name="list" className="pic" />}
        title={words.title}
        meta={query.data && words.count(query.data.length)}
        actions={
          <a
            className="btn"
            href="/pve-docs/api-viewer/openapi.json"
            download="ostler-openapi.json"
          >
            <Icon name="down-tray" />
            <span className="bl">{words.openapi}</span>
          </a>
        }
      />
      <Loaded query={query}>{(operations) => <Browser operations={operations} />}</Loaded>
    </>
  );
}
