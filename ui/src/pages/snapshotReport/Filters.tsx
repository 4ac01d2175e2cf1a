import { Select } from '@mantine/core';
import { plain } from '../../format';
import { Icon } from '../../parts/Icon';
import { t } from '../../texts';
import { BY_HAND, daysOf, guestsIn, jobsIn, type Search, type Snapshot } from './report';

const words = t.snapshotReport;

/** Choices that a list shows at once; what is typed finds the others. */
const CHOICES_SHOWN = 100;

/** What is chosen stays a choice when its last snapshot has gone. */
function withChosen(choices: [string, string][], chosen?: string): [string, string][] {
  const isThere = chosen === undefined || choices.some(([value]) => value === chosen);
  return isThere ? choices : [...choices, [chosen, plain(chosen)]];
}

function Filter({
  name,
  choices,
  value,
  onChange,
}: {
  name: string;
  choices: [string, string][];
  value?: string;
  onChange: (value: string | undefined) => void;
}) {
  return (
    <Select
      aria-label={name}
      placeholder={name}
      searchable
      clearable
      limit={CHOICES_SHOWN}
      w={200}
      data={withChosen(choices, value).map(([one, label]) => ({ value: one, label }))}
      value={value ?? null}
      onChange={(next) => onChange(next ?? undefined)}
    />
  );
}

/** Which snapshots are shown: of an age, a guest, a job. */
export function Filters({
  all,
  search,
  onChange,
}: {
  all: Snapshot[];
  search: Search;
  onChange: (search: Search) => void;
}) {
  const isWrong = Number.isNaN(daysOf(search.older));
  const guests = guestsIn(all).map(([vmid, name]): [string, string] => [
    String(vmid),
    `${vmid} ${plain(name)}`.trim(),
  ]);
  const jobs = jobsIn(all).map((job): [string, string] => [job, words.job(plain(job))]);
  return (
    <>
      <label className="inp sm">
        <Icon name="filter" className="s" />
        <input
          inputMode="decimal"
          placeholder={words.olderThan}
          aria-label={words.olderThan}
          aria-invalid={isWrong}
          title={isWrong ? words.noDays : words.olderThan}
          value={search.older ?? ''}
          onChange={(event) => onChange({ ...search, older: event.target.value || undefined })}
        />
      </label>
      <Filter
        name={words.anyGuest}
        choices={guests}
        value={search.guest}
        onChange={(guest) => onChange({ ...search, guest })}
      />
      <Filter
        name={words.anyMaker}
        choices={[[BY_HAND, words.byHand], ...jobs]}
        value={search.job}
        onChange={(job) => onChange({ ...search, job })}
      />
    </>
  );
}
