import { Checkbox, NumberInput, Select } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { guestPath, offers } from '../../actions/guest';
import { KINDS } from '../../actions/kinds';
import { api } from '../../api/client';
import { useOperations } from '../../api/operations';
import type { Guest } from '../../api/resources';
import { useInventory } from '../../api/stream';
import { startTask } from '../../api/tasks';
import { Button } from '../../parts/Button';
import { t } from '../../texts';

type Props = { guest: Guest; disk: string };

function Resize({ guest, disk }: Props) {
  const client = useQueryClient();
  const [by, setBy] = useState<number | string>('');
  const resize = async () => {
    const isDone = await startTask(client, `${t.hw.resize} ${guest.vmid} ${disk}`, () =>
      api.put<string>(`${guestPath(guest)}/resize`, { disk, size: `+${by}G` }),
    );
    if (isDone) setBy('');
  };
  return (
    <div className="pf">
      <NumberInput
        aria-label={t.hw.resizeBy}
        placeholder={t.hw.resizeBy}
        className="short"
        min={1}
        value={by}
        onChange={setBy}
      />
      <span className="unit">GiB</span>
      <Button kind="sm" disabled={Number(by) < 1} onClick={() => void resize()}>
        {t.hw.resize}
      </Button>
    </div>
  );
}

function Move({ guest, disk, storage: from }: Props & { storage: string }) {
  const client = useQueryClient();
  const { storages } = useInventory();
  const [storage, setStorage] = useState<string | null>(null);
  const [isDeleted, setIsDeleted] = useState(true);
  const { content, move } = KINDS[guest.type];
  const others = storages
    .filter((one) => one.node === guest.node && one.content.split(',').includes(content))
    .map((one) => one.storage)
    .filter((name) => name !== from);
  if (others.length === 0) return null;
  const start = async () => {
    const isDone = await startTask(client, `${t.hw.move} ${guest.vmid} ${disk} → ${storage}`, () =>
      api.post<string>(`${guestPath(guest)}/${move.path}`, {
        [move.disk]: disk,
        storage: storage ?? undefined,
        delete: isDeleted ? 1 : undefined,
      }),
    );
    if (isDone) setStorage(null);
  };
  return (
    <div className="pf">
      <Select
        aria-label={t.hw.moveTo}
        placeholder={t.hw.moveTo}
        data={others}
        value={storage}
        onChange={setStorage}
      />
      <Checkbox
        label={t.hw.moveDeletes}
        checked={isDeleted}
        onChange={(event) => setIsDeleted(event.target.checked)}
      />
      <Button kind="sm" disabled={!storage} onClick={() => void start()}>
        {t.hw.move}
      </Button>
    </div>
  );
}

/** What can be done to a disk that is there. */
export function DiskActions({ guest, disk, volume }: Props & { volume: string }) {
  const table = useOperations().data;
  // A folder or device of the node is on no storage.
  const [storage = ''] = volume.includes(':') ? volume.split(':') : [];
  if (!storage) return null;
  return (
    <>
      {offers(table, guest, 'PUT', '/resize') && <Resize guest={guest} disk={disk} />}
      {offers(table, guest, 'POST', `/${KINDS[guest.type].move.path}`) && (
        <Move guest={guest} disk={disk} storage={storage} />
      )}
    </>
  );
}
