import { Select } from '@mantine/core';
import { skipToken, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { guestPath } from '../../actions/guest';
import { KINDS } from '../../actions/kinds';
import { api } from '../../api/client';
import { type Field, useOperations } from '../../api/operations';
import type { Guest } from '../../api/resources';
import { useInventory } from '../../api/stream';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Loaded } from '../../parts/Page';
import { t } from '../../texts';
import { textOfKey } from '../../texts/fields';
import { profiles as words } from '../../texts/profiles';
import { useCpuTypes } from '../hardware/cpuTypes';
import { FieldRow } from '../hardware/FieldRow';
import { Properties } from '../hardware/Properties';
import { fieldOf, fieldsAt } from '../hardware/schema';
import { useBridges } from '../node/NodeNetwork';
import { FieldRows } from '../records/FieldRows';
import { areWhole, type Values } from '../records/values';
import {
  DISK,
  firstDiskOf,
  formOf,
  netOf,
  PROFILE,
  PROFILES,
  type Profile,
  paramsOf,
  partsOf,
  profilePath,
  sizesOf,
  sizesWith,
  sizeText,
} from './profile';

/** Of a card what says where it ends; the rest once there is one. */
const OF_CARD = ['tag', 'model', 'firewall', 'mtu', 'rate', 'queues', 'trunks', 'link_down'];

const textsOf = (fields: Field[]) =>
  Object.fromEntries(fields.map(({ name }) => [name, words.fields[name] ?? textOfKey(name)]));

/** The template that is cloned, if any. */
function TemplateRow({
  templates,
  value,
  error,
  onChange,
}: {
  templates: Guest[];
  value: string;
  error?: string;
  onChange: (change: Values) => void;
}) {
  const { label = '', hint } = words.fields.from ?? {};
  const known = templates.map((one) => ({
    value: String(one.vmid),
    label: `${one.vmid} ${plain(one.label)}, ${one.node}`,
  }));
  const isGone = value !== '' && !known.some((one) => one.value === value);
  return (
    <div className={`fr ${error ? 'bad' : ''}`}>
      <div className="fr-label">
        {label}
        <code>from</code>
      </div>
      <div>
        <Select
          aria-label={label}
          searchable
          clearable
          placeholder={words.noTemplate}
          data={isGone ? [...known, { value, label: words.gone(value) }] : known}
          value={value || null}
          error={Boolean(error)}
          onChange={(vmid) => onChange({ from: vmid ?? '' })}
        />
        <p className={error ? 'hint e' : 'hint'} role={error ? 'alert' : undefined}>
          {error ?? hint}
        </p>
      </div>
    </div>
  );
}

/** The first disk of a template, once that is known. */
function useFirstDisk(template: Guest | undefined) {
  const { data, isLoading } = useQuery({
    queryKey: ['guest', template?.vmid, 'config'],
    queryFn: template
      ? ({ signal }) =>
          api.get<Record<string, unknown>>(`${guestPath(template)}/config`, {}, signal)
      : skipToken,
    retry: false,
  });
  return { name: data && firstDiskOf(data), isLoading };
}

/** The size of one disk: of the profile's first one, or of the first one of another template. */
function useDiskSize(profile: Profile | undefined, from: string, template: Guest | undefined) {
  const list = profile?.['disk-size'] ?? '';
  const [first] = sizesOf(list);
  const [typed, setTyped] = useState(first?.[1] ?? '');
  const { name, isLoading } = useFirstDisk(template);
  const isSame = from === String(profile?.from ?? '');
  const slot = (isSame && first?.[0]) || name || DISK;
  const size = typed.trim() === '' ? '' : sizeText(typed);
  return {
    slot,
    typed,
    setTyped,
    was: first?.[1] ?? '',
    refusal: size === undefined ? words.badSize : undefined,
    isReady: size === '' || (size !== undefined && !isLoading),
    /** The sizes of all disks. */
    list: sizesWith(list, first?.[0], { slot, size: size ?? '' }),
  };
}

function SizeRow({
  field,
  disk,
  isNew,
  error,
}: {
  field: Field;
  disk: ReturnType<typeof useDiskSize>;
  isNew: boolean;
  error?: string;
}) {
  const { label = field.name, ...text } = words.fields[field.name] ?? {};
  return (
    <FieldRow
      field={field}
      {...text}
      label={`${label} ${disk.slot}`}
      value={disk.typed}
      was={isNew ? disk.typed : disk.was}
      error={error ?? disk.refusal}
      onChange={disk.setTyped}
    />
  );
}

/** The network card: where it ends first, the rest once that is said. */
function CardRows({
  field,
  value,
  was,
  node,
  error,
  onChange,
}: {
  field: Field;
  value: string;
  was: string;
  node: string;
  error?: string;
  onChange: (value: string) => void;
}) {
  const bridge = useBridges(node);
  return (
    <>
      <Properties
        field={field}
        value={value}
        was={was}
        offers={{ bridge }}
        without={value ? ['macaddr'] : ['macaddr', ...OF_CARD]}
        onChange={onChange}
      />
      {error && (
        <p className="hint e" role="alert">
          {error}
        </p>
      )}
    </>
  );
}

function useOffers() {
  const { storages } = useInventory();
  const cpu = useCpuTypes();
  const images = storages.filter((one) => one.content.split(',').includes(KINDS.qemu.content));
  const storage = [...new Set(images.map((one) => one.storage))];
  return { cpu, storage, [DISK]: storage.map((name) => `${name}:32`) };
}

type Props = {
  /** None: a new one. */
  profile?: Profile;
  onClose: () => void;
};

type Fields = Map<string, Field>;

function Form({ profile, onClose, known }: Props & { known: Fields }) {
  const { guests, nodes } = useInventory();
  const offers = useOffers();
  const [before] = useState(() => formOf(profile));
  const [values, setValues] = useState<Values>(before);
  const form = useSubmit(onClose);
  const { from = '', net0 = '' } = values;
  const templates = guests.filter((one) => one.type === 'qemu' && one.template);
  const template = templates.find((one) => String(one.vmid) === from);
  const disk = useDiskSize(profile, from, template);
  const node = template?.node ?? nodes.find((one) => one.status === 'online')?.node ?? '';
  const { head, source, compute, cloud } = partsOf(known, values);
  const net = fieldOf(known, 'net0');
  const sizes = from ? known.get('disk-size') : undefined;
  const isWhole = areWhole([...head, ...source, ...compute, ...cloud], values);
  const set = (change: Values) => setValues({ ...values, ...change });
  const submit = () =>
    form.submit(() => {
      const card = net && net0 !== before.net0 ? netOf(net, net0) : net0;
      const params = paramsOf({ ...values, net0: card, 'disk-size': disk.list }, profile);
      return profile ? api.put(profilePath(profile.profile), params) : api.post(PROFILES, params);
    });
  const rows = (fields: Field[]) => (
    <FieldRows
      fields={fields}
      values={values}
      before={profile && before}
      errors={form.fields}
      offers={offers}
      texts={textsOf(fields)}
      onChange={setValues}
    />
  );
  const { fields: errors } = form;
  return (
    <FormDialog
      title={profile ? t.records.changeOf(profile.profile) : words.add}
      submitText={profile ? t.save : t.records.add}
      isReady={isWhole && (from === '' || disk.isReady)}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <div className="fbody plain">
        {rows(head)}
        {known.has('from') && (
          <TemplateRow templates={templates} value={from} error={errors.from} onChange={set} />
        )}
        {rows(source)}
        {sizes && (
          <SizeRow field={sizes} disk={disk} isNew={!profile} error={errors['disk-size']} />
        )}
        {rows(compute)}
        {net && (
          <CardRows
            field={net}
            value={net0}
            was={profile ? (before.net0 ?? '') : net0}
            node={node}
            error={errors.net0}
            onChange={(next) => set({ net0: next })}
          />
        )}
        {rows(cloud)}
      </div>
    </FormDialog>
  );
}

/** Makes a profile, or changes one. */
export function ProfileDialog(props: Props) {
  const operations = useOperations();
  const [method, address] = props.profile ? ['PUT', PROFILE] : ['POST', PROFILES];
  return (
    <Loaded query={operations}>
      {(table) => <Form known={fieldsAt(table, method, address)} {...props} />}
    </Loaded>
  );
}
