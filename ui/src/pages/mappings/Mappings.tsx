import { useNavigate, useSearch } from '@tanstack/react-router';
import { api, path } from '../../api/client';
import { useInventory, useLive } from '../../api/stream';
import { plain } from '../../format';
import { Loading } from '../../parts/Page';
import { Segmented } from '../../parts/Segmented';
import { ToneWord } from '../../parts/State';
import { t } from '../../texts';
import { type RecordKind, Records, text } from '../records/Records';
import { listOf, useChecks } from './devices';
import { MappingDialog } from './MappingDialog';
import { KINDS, type Kind, type Mapping, type Place, placesOf } from './mapping';

const words = t.mapping;

function State({ place }: { place: Place }) {
  if (!place.isChecked) return <span className="muted">{words.unchecked}</span>;
  if (place.faults.length === 0) {
    return (
      <ToneWord tone="running" icon="check">
        {words.there}
      </ToneWord>
    );
  }
  return place.faults.map(({ severity, message }) => (
    <ToneWord key={message} tone={severity} icon={severity === 'error' ? 'err' : 'warn'}>
      {plain(message.trim())}
    </ToneWord>
  ));
}

function Places({ places }: { places: Place[] }) {
  return (
    <ul className="maps">
      {places.map((place) => (
        <li key={place.node}>
          <span className="name">{plain(place.node)}</span>
          {place.entries.map((entry) => {
            const what = [entry.get('path'), entry.get('id')].filter(Boolean).join(' ');
            return (
              <span key={what} className="mono">
                {plain(what)}
              </span>
            );
          })}
          <State place={place} />
        </li>
      ))}
    </ul>
  );
}

/** Names under which the cluster knows devices and folders, and what they are on each node. */
export default function Mappings() {
  const { show } = useSearch({ strict: false }) as { show?: Kind };
  const kind = KINDS.find((one) => one === show) ?? 'pci';
  const navigate = useNavigate();
  const nodes = useInventory().nodes.map((node) => node.node);
  const checked = useChecks(kind);
  const { isLoaded } = useLive();
  if (!isLoaded) return <Loading />;
  const records: RecordKind = {
    list: listOf(kind),
    nameOf: (row) => String(row.id),
    columns: [
      [words.name, (row) => <span className="mono">{text(row, 'id')}</span>],
      [
        words.onNodes,
        (row) => <Places places={placesOf(row as unknown as Mapping, nodes, checked)} />,
      ],
      [t.guestPage.notes, (row) => text(row, 'description')],
    ],
    empty: { icon: 'link', title: words.none[kind], text: words.noneText },
    own: {
      title: words.add[kind],
      dialog: (row, onClose) => (
        <MappingDialog kind={kind} mapping={row as Mapping | undefined} onClose={onClose} />
      ),
    },
    remove: (row) => api.delete(`${listOf(kind)}${path(String(row.id))}`),
    removes: () => words.removes,
  };
  return (
    <Records key={kind} kind={records}>
      <Segmented<Kind>
        label={t.dc.tabs.mappings}
        value={kind}
        options={KINDS.map((one) => [one, words.kinds[one]])}
        onChange={(next) =>
          void navigate({ href: `/datacenter/mappings?show=${next}`, replace: true })
        }
      />
    </Records>
  );
}
