import { Menu } from '@mantine/core';
import { type RefObject, useMemo } from 'react';
import type { Guest, GuestState, Outline } from '../../api/resources';
import { plain } from '../../format';
import { Glyph, toneOf } from '../../parts/Glyph';
import { Icon } from '../../parts/Icon';
import { t } from '../../texts';
import {
  countStates,
  FILTER_KEYS,
  type FilterKey,
  type GuestSearch,
  toggled,
  valuesOf,
} from './filters';

const STATES: GuestState[] = [
  'running',
  'busy',
  'paused',
  'stopped',
  'template',
  'unknown',
  'error',
];

const wordOfValue = (key: FilterKey, value: string) =>
  key === 'state' ? (t.state[value] ?? value) : plain(value);

function Chip({
  name,
  search,
  onChange,
}: {
  name: FilterKey;
  search: GuestSearch;
  onChange: (search: GuestSearch) => void;
}) {
  const values = valuesOf(search, name).map((value) => wordOfValue(name, value));
  if (values.length === 0) return null;
  const title = t.guests.filters[name];
  return (
    <span className="chip on">
      <span className="k">{title}</span>
      <span className="v">{values.join(t.guests.or)}</span>
      <button
        type="button"
        className="xx"
        aria-label={t.guests.removeFilter(title)}
        onClick={() => onChange({ ...search, [name]: undefined })}
      >
        <Icon name="x" />
      </button>
    </span>
  );
}

function AddFilter({
  outline,
  search,
  onChange,
}: {
  outline: Outline;
  search: GuestSearch;
  onChange: (search: GuestSearch) => void;
}) {
  const choices: [FilterKey, string[]][] = [
    ['state', STATES],
    ['node', outline.nodes.map((node) => node.node)],
    ['pool', outline.pools.map((pool) => pool.pool)],
    ['tag', outline.tags],
  ];
  return (
    <Menu closeOnItemClick={false} position="bottom-start">
      <Menu.Target>
        <button type="button" className="chip add">
          <span>
            <Icon name="plus" className="s" /> {t.guests.addFilter}
          </span>
        </button>
      </Menu.Target>
      <Menu.Dropdown className="scrolls">
        {choices
          .filter(([, values]) => values.length > 0)
          .map(([key, values]) => (
            <div key={key}>
              <Menu.Label>{t.guests.filters[key]}</Menu.Label>
              {values.map((value) => (
                <Menu.Item
                  key={value}
                  rightSection={
                    valuesOf(search, key).includes(value) && <Icon name="check" className="s" />
                  }
                  onClick={() => onChange(toggled(search, key, value))}
                >
                  {wordOfValue(key, value)}
                </Menu.Item>
              ))}
            </div>
          ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function Counts({
  guests,
  search,
  onChange,
}: {
  guests: Guest[];
  search: GuestSearch;
  onChange: (search: GuestSearch) => void;
}) {
  const counts = useMemo(() => countStates(guests), [guests]);
  return (
    <span className="qks">
      {STATES.filter((state) => counts[state]).map((state) => (
        <button
          key={state}
          type="button"
          className={`qk t-${toneOf(state)}`}
          aria-pressed={valuesOf(search, 'state').includes(state)}
          onClick={() => onChange(toggled(search, 'state', state))}
        >
          <Glyph kind="vm" state={state} />
          <b>{counts[state]}</b> {t.state[state]}
        </button>
      ))}
    </span>
  );
}

function FilterField({
  value,
  onChange,
  input,
}: {
  value: string;
  onChange: (value: string) => void;
  input: RefObject<HTMLInputElement | null>;
}) {
  return (
    <label className="inp sm">
      <Icon name="filter" className="s" />
      <input
        ref={input}
        placeholder={t.guests.filter}
        aria-label={t.guests.filter}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
      />
      <kbd>F</kbd>
    </label>
  );
}

export function Toolbar({
  outline,
  search,
  onChange,
  words,
  onWords,
  input,
}: {
  outline: Outline;
  search: GuestSearch;
  onChange: (search: GuestSearch) => void;
  words: string;
  onWords: (words: string) => void;
  input: RefObject<HTMLInputElement | null>;
}) {
  return (
    <div className="toolbar">
      <FilterField input={input} value={words} onChange={onWords} />
      {FILTER_KEYS.map((name) => (
        <Chip key={name} name={name} search={search} onChange={onChange} />
      ))}
      <AddFilter outline={outline} search={search} onChange={onChange} />
      <span className="grow" />
      <Counts guests={outline.guests} search={search} onChange={onChange} />
    </div>
  );
}
