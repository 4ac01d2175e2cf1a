import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { api } from '../../api/client';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Button, IconButton } from '../../parts/Button';
import type { IconName } from '../../parts/Icon';
import { Blank, Loaded } from '../../parts/Page';
import { t } from '../../texts';
import { OperationDialog, type OperationForm } from './OperationDialog';

export type Row = Record<string, unknown>;

export type RecordKind = {
  /** Where the list is read. */
  list: string;
  /** What is done to the answer first. */
  rowsOf?: (answer: Row[]) => Row[];
  /** Milliseconds after which the list is read again. */
  pauseOf?: (rows: Row[]) => number;
  /** The name of a row, for dialogs. */
  nameOf: (row: Row) => string;
  columns: [string, (row: Row) => ReactNode][];
  empty: { icon: IconName; title: string; text: string };
  add?: OperationForm;
  change?: (row: Row) => OperationForm;
  /** A dialog of its own in place of the forms; without a row it adds one. */
  own?: { title: string; dialog: (row: Row | undefined, onClose: () => void) => ReactNode };
  remove?: (row: Row) => Promise<unknown>;
  removes?: (row: Row) => string;
  canRemove?: (row: Row) => boolean;
  /** More actions of a row. */
  more?: (row: Row) => ReactNode;
};

export const text = (row: Row, key: string) => plain(String(row[key] ?? ''));

function Remove({ kind, row, onClose }: { kind: RecordKind; row: Row; onClose: () => void }) {
  const form = useSubmit(onClose);
  return (
    <FormDialog
      title={t.records.removeTitle(kind.nameOf(row))}
      submitText={t.hw.remove}
      isDanger
      form={form}
      onSubmit={() => form.submit(async () => kind.remove?.(row))}
      onClose={onClose}
    >
      <p className="t2">{kind.removes?.(row) ?? t.records.removeText}</p>
    </FormDialog>
  );
}

function Table({
  kind,
  rows,
  onChange,
  onRemove,
}: {
  kind: RecordKind;
  rows: Row[];
  onChange: (row: Row) => void;
  onRemove: (row: Row) => void;
}) {
  return (
    <table className={`tbl records ${kind.columns.length > 5 ? 'many' : ''}`}>
      <thead>
        <tr>
          {kind.columns.map(([title]) => (
            <th key={title}>{title}</th>
          ))}
          <th className={`c-ac ${kind.more ? 'more-ac' : ''}`}>
            <span className="vh">{t.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => {
          const name = kind.nameOf(row);
          return (
            <tr key={name}>
              {kind.columns.map(([title, cell], at) => (
                <td key={title} className={`trunc ${at === 0 ? 'name' : 't2'}`}>
                  {cell(row)}
                </td>
              ))}
              <td className="c-ac">
                {kind.more?.(row)}
                {(kind.change || kind.own) && (
                  <IconButton
                    icon="edit"
                    label={`${t.guestPage.edit} ${name}`}
                    onClick={() => onChange(row)}
                  />
                )}
                {kind.remove && kind.canRemove?.(row) !== false && (
                  <IconButton
                    icon="trash"
                    label={`${t.hw.remove} ${name}`}
                    onClick={() => onRemove(row)}
                  />
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** A list of records with what can be done to them; forms come from the operation table. */
export function Records({ kind, children }: { kind: RecordKind; children?: ReactNode }) {
  const [form, setForm] = useState<OperationForm>();
  const [own, setOwn] = useState<{ row?: Row }>();
  const [removed, setRemoved] = useState<Row>();
  const query = useQuery({
    queryKey: ['records', kind.list],
    queryFn: ({ signal }) => api.get<Row[]>(kind.list, {}, signal),
    select: kind.rowsOf,
    refetchInterval: (all) => kind.pauseOf?.(all.state.data ?? []) ?? false,
  });
  const title = kind.own?.title ?? kind.add?.title;
  const edit = (row?: Row) => {
    if (kind.own) setOwn({ row });
    else setForm(row ? kind.change?.(row) : kind.add);
  };
  const add = title && (
    <Button kind="sm pri" icon="plus" onClick={() => edit()}>
      {title}
    </Button>
  );
  return (
    <div className="body flush">
      <div className="toolbar">
        {children}
        <span className="grow" />
        {add}
      </div>
      <div className="scrolls grow">
        <Loaded query={query}>
          {(rows) =>
            rows.length === 0 ? (
              <Blank icon={kind.empty.icon} title={kind.empty.title}>
                <p>{kind.empty.text}</p>
              </Blank>
            ) : (
              <Table kind={kind} rows={rows} onChange={edit} onRemove={setRemoved} />
            )
          }
        </Loaded>
      </div>
      {form && <OperationDialog form={form} onClose={() => setForm(undefined)} />}
      {own && kind.own?.dialog(own.row, () => setOwn(undefined))}
      {removed && <Remove kind={kind} row={removed} onClose={() => setRemoved(undefined)} />}
    </div>
  );
}
