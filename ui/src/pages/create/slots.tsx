/** Fields of disks and cards in the wizard; each is named by its slot, `scsi0`. */

import { Autocomplete, NumberInput, Select, TextInput } from '@mantine/core';
import { IconButton } from '../../parts/Button';
import { t } from '../../texts';

const words = t.create;

type Of<T> = { slot: string; value: T; onChange: (value: T) => void };

export function StoreField({
  slot,
  value,
  onChange,
  storages,
  error,
}: Of<string> & { storages: string[]; error?: string }) {
  return (
    <Select
      aria-label={`${slot} ${words.store}`}
      allowDeselect={false}
      data={storages}
      value={value || null}
      error={error}
      onChange={(storage) => onChange(storage ?? '')}
    />
  );
}

export function SizeField({ slot, value, onChange }: Of<number>) {
  return (
    <NumberInput
      className="short"
      aria-label={`${slot} ${words.size}`}
      min={0.001}
      suffix=" GiB"
      value={value}
      onChange={(size) => onChange(Number.parseFloat(String(size)) || 0)}
    />
  );
}

export function BridgeField({
  slot,
  value,
  onChange,
  bridges,
  error,
}: Of<string> & { bridges: string[]; error?: string }) {
  return (
    <Autocomplete
      aria-label={`${slot} ${words.bridge}`}
      data={bridges}
      value={value}
      error={error}
      onChange={onChange}
    />
  );
}

export function VlanField({ slot, value, onChange }: Of<string>) {
  return (
    <TextInput
      className="short"
      aria-label={`${slot} ${words.vlan}`}
      placeholder={words.vlan}
      inputMode="numeric"
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** Takes a slot out of its list. */
export function RemoveSlot<T extends { slot: string }>({
  slot,
  list,
  onChange,
}: {
  slot: string;
  list: T[];
  onChange: (list: T[]) => void;
}) {
  return (
    <IconButton
      icon="trash"
      label={`${t.hw.remove} ${slot}`}
      onClick={() => onChange(list.filter((one) => one.slot !== slot))}
    />
  );
}
