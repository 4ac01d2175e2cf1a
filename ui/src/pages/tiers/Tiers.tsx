import { api } from '../../api/client';
import { hasOperation } from '../../api/operations';
import { plain } from '../../format';
import { Served } from '../../parts/Served';
import { tiers as words } from '../../texts/tiers';
import { type RecordKind, Records, type Row, text } from '../records/Records';
import { TierDialog } from './TierDialog';
import { TierVolumes } from './TierVolumes';
import { guestsOf, propertiesOf, TIERS, type Tier, tierPath, VOLUMES } from './tier';

const tierOf = (row: Row) => row as unknown as Tier;

const KIND: RecordKind = {
  list: TIERS,
  nameOf: (row) => String(row.tier),
  columns: [
    [words.name, (row) => <span className="mono">{text(row, 'tier')}</span>],
    [words.guests, (row) => plain(guestsOf(tierOf(row)))],
    [words.properties, (row) => <span className="mono">{plain(propertiesOf(tierOf(row)))}</span>],
    [words.priority, (row) => text(row, 'priority')],
    [words.comment, (row) => <span title={text(row, 'comment')}>{text(row, 'comment')}</span>],
  ],
  empty: { icon: 'pool', title: words.none, text: words.noneText },
  own: {
    title: words.add,
    dialog: (row, onClose) => <TierDialog tier={row && tierOf(row)} onClose={onClose} />,
  },
  remove: (row) => api.delete(tierPath(String(row.tier))),
  removes: () => words.removes,
};

/** Tiers of guests, and the volumes that follow them. */
export default function Tiers() {
  return (
    <Served method="GET" path={TIERS}>
      {(table) => (
        <>
          <Records kind={KIND} />
          {hasOperation(table, 'GET', VOLUMES) && <TierVolumes />}
        </>
      )}
    </Served>
  );
}
