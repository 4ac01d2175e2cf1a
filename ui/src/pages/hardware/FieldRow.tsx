import { Autocomplete, PasswordInput, Select, Switch, Textarea, TextInput } from '@mantine/core';
import type { Field } from '../../api/operations';
import { t } from '../../texts';
import { isSecret } from './change';
import { choicesOf } from './schema';

type Props = {
  field: Field;
  label: string;
  hint?: string;
  unit?: string;
  value: string;
  /** The value before the change. */
  was: string;
  error?: string;
  /** What an empty field shows. */
  unset?: string;
  /** Values to offer, for fields that take others as well. */
  offers?: string[];
  onChange: (value: string) => void;
};

function rangeOf({ minimum, maximum }: Field): string | undefined {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (minimum !== undefined && minimum > 0) return t.hw.atLeast(minimum);
}

/** The day of a time in seconds, as an input of the type `date` has it. */
const dayOf = (seconds: string) =>
  Number(seconds) > 0 ? new Date(Number(seconds) * 1000).toISOString().slice(0, 10) : '';

function Control({ field, label, value, error, unset, offers, onChange }: Props) {
  const choices = choicesOf(field);
  const common = { 'aria-label': label, error: Boolean(error) };
  const placeholder = field.default ? t.hw.default(field.default) : unset;
  if (field.type === 'boolean') {
    const isOn = (value || field.default || '0') === '1';
    return (
      <Switch
        aria-label={label}
        checked={isOn}
        onChange={(event) => onChange(event.target.checked ? '1' : '0')}
      />
    );
  }
  if (choices) {
    return (
      <Select
        {...common}
        searchable={choices.length > 12}
        clearable={Boolean(field.optional)}
        placeholder={placeholder}
        data={value && !choices.includes(value) ? [...choices, value] : choices}
        value={value || null}
        onChange={(next) => onChange(next ?? '')}
      />
    );
  }
  if (field.name === 'description' || field.name === 'sshkeys') {
    return (
      <Textarea
        {...common}
        className="grow"
        autosize
        minRows={3}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    );
  }
  if (/password/.test(field.name)) {
    return (
      <PasswordInput
        {...common}
        className="grow"
        autoComplete="new-password"
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    );
  }
  if (field.name === 'expire') {
    return (
      <TextInput
        {...common}
        type="date"
        value={dayOf(value)}
        onChange={(event) => onChange(String(Date.parse(event.target.value) / 1000 || 0))}
      />
    );
  }
  const isNumber = field.type === 'integer' || field.type === 'number';
  if (offers && offers.length > 0) {
    return (
      <Autocomplete
        {...common}
        className="grow"
        placeholder={placeholder}
        data={offers}
        value={value}
        onChange={onChange}
      />
    );
  }
  return (
    <TextInput
      {...common}
      className={isNumber ? 'short' : 'grow'}
      inputMode={isNumber ? 'decimal' : undefined}
      placeholder={placeholder}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** One field: label and key, control, unit and range, one line of what it does or why it is refused. */
export function FieldRow(props: Props) {
  const { field, label, hint, unit, value, was, error } = props;
  const isChanged = value !== was;
  const shownWas = isSecret(field.name) ? t.create.passwordShown : was || t.none;
  return (
    <div className={`fr ${isChanged ? 'changed' : ''} ${error ? 'bad' : ''}`}>
      <div className="fr-label">
        {label}
        <code>{field.name}</code>
      </div>
      <div>
        <div className="ctl">
          <Control {...props} />
          <span className="unit">{[unit, rangeOf(field)].filter(Boolean).join(', ')}</span>
        </div>
        {error ? (
          <p className="hint e" role="alert">
            {error}
          </p>
        ) : (
          <p className="hint">
            {isChanged && <b>{t.hw.was(shownWas)} </b>}
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}
