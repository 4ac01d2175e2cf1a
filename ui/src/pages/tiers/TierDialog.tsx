import { useState } from 'react';
import { api } from '../../api/client';
import { type Field, useOperations } from '../../api/operations';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { Loaded } from '../../parts/Page';
import { t } from '../../texts';
import { tiers as words } from '../../texts/tiers';
import { fieldsAt } from '../hardware/schema';
import { FieldRows } from '../records/FieldRows';
import { areWhole, type Values, valuesOf } from '../records/values';
import { paramsOf, TIER, TIERS, type Tier, tierPath } from './tier';

type Props = {
  /** None: a new one. */
  tier?: Tier;
  onClose: () => void;
};

/** What is said of a tier first; its properties follow in the table's order. */
const HEAD = ['tier', 'comment', 'tags', 'pools', 'priority'];

function Form({ tier, onClose, fields }: Props & { fields: Field[] }) {
  const names = fields.map(({ name }) => name);
  const [before] = useState(() => valuesOf(tier, names));
  const [values, setValues] = useState<Values>(before);
  const form = useSubmit(onClose);
  const submit = () =>
    form.submit(() => {
      const params = paramsOf(values, tier, names);
      return tier ? api.put(tierPath(tier.tier), params) : api.post(TIERS, params);
    });
  return (
    <FormDialog
      title={tier ? t.records.changeOf(tier.tier) : words.add}
      submitText={tier ? t.save : t.records.add}
      isReady={areWhole(fields, values)}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <div className="fbody plain">
        <FieldRows
          fields={fields}
          values={values}
          before={tier && before}
          errors={form.fields}
          texts={words.fields}
          onChange={setValues}
        />
      </div>
    </FormDialog>
  );
}

/** Makes a tier, or changes one. */
export function TierDialog(props: Props) {
  const operations = useOperations();
  const [method, address] = props.tier ? ['PUT', TIER] : ['POST', TIERS];
  return (
    <Loaded query={operations}>
      {(table) => {
        const known = [...fieldsAt(table, method, address).values()];
        const own = known.filter(
          (field) => field.in !== 'path' && field.name !== 'delete' && field.name !== 'digest',
        );
        const head = HEAD.flatMap((name) => own.find((field) => field.name === name) ?? []);
        const rest = own.filter(({ name }) => !HEAD.includes(name));
        return <Form fields={[...head, ...rest]} {...props} />;
      }}
    </Loaded>
  );
}
