import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { api, path } from '../../api/client';
import { useInventory } from '../../api/stream';
import { bytes, moment, percent, plain } from '../../format';
import { Graphs } from '../../graphs/Graphs';
import { storageGraphs } from '../../graphs/kinds';
import { IconButton } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { Blank, Loaded, PageHead } from '../../parts/Page';
import { nodeAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { CopyVolume, RemoveVolume, StorageActions, useCopies } from './StorageActions';

export type Volume = {
  volid: string;
  content: string;
  format: string;
  size: number;
  vmid?: number;
  ctime?: number;
};

export function useVolumes(node: string, storage: string, content?: string) {
  return useQuery({
    queryKey: ['node', node, 'storage', storage, 'content', content],
    queryFn: ({ signal }) =>
      api.get<Volume[]>(`${path('nodes', node, 'storage', storage)}/content`, { content }, signal),
    enabled: node !== '' && storage !== '',
  });
}

function VolumeTable({
  volumes,
  onCopy,
  onRemove,
}: {
  volumes: Volume[];
  onCopy?: (volume: Volume) => void;
  onRemove: (volume: Volume) => void;
}) {
  const { byVmid } = useInventory();
  const words = t.storage;
  return (
    <table className="tbl records">
      <thead>
        <tr>
          <th>{words.volume}</th>
          <th>{words.kind}</th>
          <th>{words.format}</th>
          <th>{words.guest}</th>
          <th>{words.made}</th>
          <th className="num">{words.size}</th>
          <th className="c-ac">
            <span className="vh">{t.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {volumes.map((volume) => (
          <tr key={volume.volid}>
            <td className="mono trunc" title={volume.volid}>
              {plain(volume.volid)}
            </td>
            <td className="t2">{volume.content}</td>
            <td className="t2">{volume.format}</td>
            <td>
              {volume.vmid && byVmid.has(volume.vmid) ? (
                <Link to={`/guest/${volume.vmid}`}>{volume.vmid}</Link>
              ) : (
                (volume.vmid ?? '–')
              )}
            </td>
            <td className="t2">{volume.ctime ? moment(volume.ctime) : '–'}</td>
            <td className="num">{bytes(volume.size)}</td>
            <td className="c-ac">
              {onCopy && (
                <IconButton
                  icon="copy"
                  label={`${words.copy} ${plain(volume.volid)}`}
                  onClick={() => onCopy(volume)}
                />
              )}
              <IconButton
                icon="trash"
                label={`${t.hw.remove} ${plain(volume.volid)}`}
                onClick={() => onRemove(volume)}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What is in one storage, as one node sees it. */
export default function StorageContent() {
  const { node = '', storage = '' } = useParams({ strict: false });
  const { storages } = useInventory();
  const row = storages.find((one) => one.node === node && one.storage === storage);
  const query = useVolumes(node, storage);
  const [removed, setRemoved] = useState<Volume>();
  const [copied, setCopied] = useState<Volume>();
  const copies = useCopies();
  const used = row?.maxdisk ? (row.disk ?? 0) / row.maxdisk : undefined;
  return (
    <>
      <PageHead
        glyph={<Icon name="disk" className="pic" />}
        title={storage}
        meta={
          <>
            <Link to={nodeAddress(node)}>{node}</Link>
            {row && `, ${row.plugintype}`}
            {used !== undefined && `, ${percent(used)} ${t.of} ${bytes(row?.maxdisk ?? 0)}`}
          </>
        }
        actions={row && <StorageActions row={row} />}
      />
      <div className="body flush scrolls">
        {row && (
          <div className="gr-alone">
            <Graphs path={path('nodes', node, 'storage', storage)} graphs={storageGraphs(row)} />
          </div>
        )}
        <Loaded query={query}>
          {(volumes) =>
            volumes.length === 0 ? (
              <Blank icon="disk" title={t.storage.empty}>
                <p>{t.storage.emptyText}</p>
              </Blank>
            ) : (
              <VolumeTable
                volumes={volumes}
                onCopy={copies ? setCopied : undefined}
                onRemove={setRemoved}
              />
            )
          }
        </Loaded>
      </div>
      {row && copied && (
        <CopyVolume row={row} volume={copied} onClose={() => setCopied(undefined)} />
      )}
      {row && removed && (
        <RemoveVolume row={row} volume={removed} onClose={() => setRemoved(undefined)} />
      )}
    </>
  );
}
