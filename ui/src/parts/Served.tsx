import type { ReactNode } from 'react';
import { hasOperation, type Operation, useOperations } from '../api/operations';
import { t } from '../texts';
import { Blank, Loaded } from './Page';

/** The page of an operation: where the node does not have it, there is no such page. */
export function Served({
  method,
  path,
  children,
}: {
  method: string;
  path: string;
  children: (table: Operation[]) => ReactNode;
}) {
  const operations = useOperations();
  return (
    <Loaded query={operations}>
      {(table) =>
        hasOperation(table, method, path) ? (
          children(table)
        ) : (
          <Blank icon="gone" title={t.states.noPage} />
        )
      }
    </Loaded>
  );
}
