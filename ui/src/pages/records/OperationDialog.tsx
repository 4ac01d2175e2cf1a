import { useState } from 'react';
import { api, type Params } from '../../api/client';
import { type Field, useOperations } from '../../api/operations';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { Loaded } from '../../parts/Page';
import { fieldsOf } from '../hardware/schema';
import { FieldRows } from './FieldRows';
import { areWhole } from './values';

export type OperationForm = {
  /** The operation's name in the table. */
  operation: string;
  method: 'POST' | 'PUT';
  path: (values: Record<string, string>) => string;
  title: string;
  submit: string;
  /** The parameters that the form has, in this order. */
  fields: string[];
  /** Whether a parameter makes sense beside these values; all do where nothing is said. */
  appliesTo?: (name: string, values: Record<string, string>) => boolean;
  /** Whether what is unset is named in `delete`; else it is sent empty. */
  deletes?: boolean;
  /** Parameters that it sets itself. */
  fixed?: Params;
  /** Values before the change. */
  values?: Record<string, string>;
  offers?: Record<string, string[]>;
  /** What was answered, if it is to be shown. */
  onAnswer?: (answer: unknown) => void;
};

function paramsOf(form: OperationForm, fields: Field[], values: Record<string, string>): Params {
  const params: Params = { ...form.fixed };
  const gone: string[] = [];
  for (const { name, in: place } of fields) {
    if (place === 'path') continue;
    const [value, was] = [values[name] ?? '', form.values?.[name] ?? ''];
    // An empty text takes a value back; what was never there is not sent.
    if (value === '' && was === '') continue;
    if (value === '' && form.deletes) gone.push(name);
    else params[name] = value;
  }
  if (gone.length > 0) params.delete = gone.join(',');
  return params;
}

function send(form: OperationForm, values: Record<string, string>, params: Params) {
  const address = form.path(values);
  if (form.method === 'POST') return api.post<unknown>(address, params);
  return api.put<unknown>(address, params);
}

function Fields({
  form,
  fields: all,
  onClose,
}: {
  form: OperationForm;
  fields: Field[];
  onClose: () => void;
}) {
  const [values, setValues] = useState<Record<string, string>>(form.values ?? {});
  const state = useSubmit(onClose);
  const fields = all.filter(({ name }) => form.appliesTo?.(name, values) ?? true);
  const isReady = areWhole(fields, values);
  const submit = () =>
    state.submit(async () => {
      const answer = await send(form, values, paramsOf(form, fields, values));
      form.onAnswer?.(answer);
    });
  return (
    <FormDialog
      title={form.title}
      submitText={form.submit}
      isReady={isReady}
      form={state}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <div className="fbody plain">
        <FieldRows
          fields={fields}
          values={values}
          before={form.method === 'PUT' ? form.values : undefined}
          errors={state.fields}
          offers={form.offers}
          onChange={setValues}
        />
      </div>
    </FormDialog>
  );
}

/** A form for one operation of the table: its fields, limits and choices are the table's. */
export function OperationDialog({ form, onClose }: { form: OperationForm; onClose: () => void }) {
  const operations = useOperations();
  return (
    <Loaded query={operations}>
      {(table) => {
        const known = fieldsOf(table, form.operation);
        const fields = form.fields.flatMap((name) => known.get(name) ?? []);
        return <Fields form={form} fields={fields} onClose={onClose} />;
      }}
    </Loaded>
  );
}
