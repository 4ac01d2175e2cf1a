import { useState } from 'react';
import { api } from '../../api/client';
import { hasOperation } from '../../api/operations';
import { useOutline } from '../../api/stream';
import { plain } from '../../format';
import { IconButton } from '../../parts/Button';
import { Served } from '../../parts/Served';
import { t } from '../../texts';
import { profiles as words } from '../../texts/profiles';
import { type RecordKind, Records, type Row, text } from '../records/Records';
import { CreateDialog } from './CreateDialog';
import { ProfileDialog } from './ProfileDialog';
import { CREATE, cpusOf, disksOf, memoryOf, PROFILES, type Profile, profilePath } from './profile';

const profileOf = (row: Row) => row as unknown as Profile;

/** The template, by its number and name. */
function Template({ vmid }: { vmid: Profile['from'] }) {
  const { byVmid } = useOutline();
  if (vmid === undefined) return <span className="muted">{t.none}</span>;
  const guest = byVmid.get(Number(vmid));
  if (!guest) return <span className="tone t-warning">{words.gone(String(vmid))}</span>;
  return (
    <>
      <span className="mono">{vmid}</span> {plain(guest.label)}
    </>
  );
}

function List({ canCreate }: { canCreate: boolean }) {
  const [used, setUsed] = useState<Profile>();
  const kind: RecordKind = {
    list: PROFILES,
    nameOf: (row) => String(row.profile),
    columns: [
      [words.name, (row) => <span className="mono">{text(row, 'profile')}</span>],
      [words.cpus, (row) => cpusOf(profileOf(row))],
      [words.memory, (row) => memoryOf(profileOf(row))],
      [words.disk, (row) => plain(disksOf(profileOf(row)))],
      [words.from, (row) => <Template vmid={profileOf(row).from} />],
      [words.comment, (row) => <span title={text(row, 'comment')}>{text(row, 'comment')}</span>],
    ],
    empty: { icon: 'copy', title: words.none, text: words.noneText },
    own: {
      title: words.add,
      dialog: (row, onClose) => <ProfileDialog profile={row && profileOf(row)} onClose={onClose} />,
    },
    more: canCreate
      ? (row) => (
          <IconButton
            icon="plus"
            label={words.create.open(String(row.profile))}
            onClick={() => setUsed(profileOf(row))}
          />
        )
      : undefined,
    remove: (row) => api.delete(profilePath(String(row.profile))),
    removes: () => words.removes,
  };
  return (
    <>
      <Records kind={kind} />
      {used && <CreateDialog profile={used} onClose={() => setUsed(undefined)} />}
    </>
  );
}

/** Profiles of virtual machines, and what is made of them. */
export default function Profiles() {
  return (
    <Served method="GET" path={PROFILES}>
      {(table) => <List canCreate={hasOperation(table, 'POST', CREATE)} />}
    </Served>
  );
}
