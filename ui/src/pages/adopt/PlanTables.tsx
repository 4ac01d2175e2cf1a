import { plain } from '../../format';
import { ToneWord } from '../../parts/State';
import { TablePanel } from '../../parts/TablePanel';
import { t } from '../../texts';
import { adopt as words } from '../../texts/adopt';
import { CheckBox } from '../guests/CheckBox';
import { type AdoptGuest, type AdoptStorage, adopted, guestsShown, type Plan } from './adopt';

type Verdict = Pick<AdoptGuest, 'action' | 'reasons' | 'warnings'>;

function Action({ action }: Pick<Verdict, 'action'>) {
  const text = words.actions[action];
  if (action === 'present') return text;
  const isTaken = action === 'adopt';
  return (
    <ToneWord tone={isTaken ? 'running' : 'warning'} icon={isTaken ? 'check' : 'warn'}>
      {text}
    </ToneWord>
  );
}

function Notes({ reasons, warnings }: Verdict) {
  return (
    <ul className="maps">
      {reasons.map((reason) => (
        <li key={reason}>{plain(reason)}</li>
      ))}
      {warnings.map((warning) => (
        <li key={warning} className="tone t-warning">
          {plain(warning)}
        </li>
      ))}
    </ul>
  );
}

function storageRow(one: AdoptStorage) {
  return {
    key: one.source,
    cells: [
      <span key="source" className="mono">
        {plain(one.source)}
      </span>,
      plain(one.storage ?? t.none),
      plain(one.type),
      <Action key="action" {...one} />,
      <Notes key="notes" {...one} />,
    ],
  };
}

function kindOf({ type, template }: AdoptGuest) {
  const kind = words.kinds[type];
  return Number(template) ? words.template(kind) : kind;
}

/** A guest with its box, where the plan of all takes it over. */
function GuestName({
  guest,
  isChosen,
  onToggle,
}: {
  guest: AdoptGuest;
  isChosen?: boolean;
  onToggle: () => void;
}) {
  return (
    <span className="row">
      {isChosen !== undefined && (
        <CheckBox state={isChosen} label={words.choose(guest.vmid)} onToggle={onToggle} />
      )}
      <span>
        <span className="mono">{guest.vmid}</span> {plain(guest.name ?? '')}
      </span>
    </span>
  );
}

type Props = {
  /** The plan of all guests, of which some are chosen. */
  all: Plan;
  /** The one that would be carried out. */
  plan: Plan;
  chosen: ReadonlySet<number>;
  onChoose: (chosen: ReadonlySet<number>) => void;
};

function Guests({ all, plan, chosen, onChoose }: Props) {
  const able = adopted(all);
  const isAll = able.every((vmid) => chosen.has(vmid));
  const toggle = (vmid: number) => {
    const next = new Set(chosen);
    if (!next.delete(vmid)) next.add(vmid);
    onChoose(next);
  };
  const rows = guestsShown(all, plan).map((guest) => {
    const { vmid } = guest;
    const isChosen = able.includes(vmid) ? chosen.has(vmid) : undefined;
    return {
      key: String(vmid),
      cells: [
        <GuestName key="name" guest={guest} isChosen={isChosen} onToggle={() => toggle(vmid)} />,
        kindOf(guest),
        plain(guest.pool ?? t.none),
        guest.volumes,
        guest.snapshots,
        isChosen === false ? words.notChosen : <Action key="action" {...guest} />,
        <Notes key="notes" {...guest} />,
      ],
    };
  });
  const { guest, kind, pool, volumes, snapshots, verdict, notes } = words;
  return (
    <TablePanel
      title={words.guests}
      aux={
        able.length > 1 && (
          <button
            type="button"
            className="lnk"
            onClick={() => onChoose(new Set(isAll ? [] : able))}
          >
            {isAll ? words.chooseNone : words.chooseAll}
          </button>
        )
      }
      head={[guest, kind, pool, volumes, snapshots, verdict, notes]}
      rows={rows}
      none={words.noGuests}
    />
  );
}

/** A plan: storages, guests to choose from, files that stay. */
export function PlanTables(props: Props) {
  const { plan } = props;
  return (
    <>
      <TablePanel
        title={words.storages}
        head={[words.storage, words.here, words.type, words.verdict, words.notes]}
        rows={plan.storages.map(storageRow)}
        none={words.noStorages}
      />
      <Guests {...props} />
      <TablePanel
        title={words.left}
        head={[words.file, words.reason]}
        rows={plan.left.map(({ path, reason }) => ({
          key: path,
          cells: [
            <span key="path" className="mono">
              {plain(path)}
            </span>,
            plain(reason),
          ],
        }))}
        none={words.noLeft}
      />
    </>
  );
}
