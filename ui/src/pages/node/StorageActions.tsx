import { FileInput, Select } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, path } from '../../api/client';
import { hasOperation, useOperations } from '../../api/operations';
import type { StorageRow } from '../../api/resources';
import { useSession } from '../../api/session';
import { followTask } from '../../api/tasks';
import { uploadFile } from '../../api/upload';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { percent, plain } from '../../format';
import { Bar } from '../../parts/Bar';
import { Button } from '../../parts/Button';
import { t } from '../../texts';
import { OperationDialog } from '../records/OperationDialog';
import { PruneBackups } from './PruneBackups';
import { PullImage } from './PullImage';
import type { Volume } from './StorageContent';

const words = t.storage;
/** What may be brought from outside. */
const BROUGHT = ['iso', 'import', 'vztmpl'];
const PULL = '/nodes/{node}/storage/{storage}/oci-registry-pull';

const VOLUME = '/nodes/{node}/storage/{storage}/content/{volume}';
const PRUNE = '/nodes/{node}/storage/{storage}/prunebackups';

const kindsOf = (row: StorageRow) =>
  BROUGHT.filter((kind) => row.content.split(',').includes(kind));

const address = ({ node, storage }: StorageRow) => path('nodes', node, 'storage', storage);

/** What the end of a file's name says about it. */
export function contentOfFile(name: string): string {
  if (/\.(iso|img)$/i.test(name)) return 'iso';
  return /\.(qcow2|raw|vmdk|ova)$/i.test(name) ? 'import' : 'vztmpl';
}

function Upload({ row, onClose }: { row: StorageRow; onClose: () => void }) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const [file, setFile] = useState<File | null>(null);
  const [content, setContent] = useState('iso');
  const [sent, setSent] = useState<number>();
  const kinds = kindsOf(row);
  const submit = () =>
    form.submit(async () => {
      if (!file) return;
      const upid = await uploadFile(`${address(row)}/upload`, { content }, file, setSent);
      followTask(client, `${words.upload} ${file.name}`, upid);
    });
  return (
    <FormDialog
      title={words.uploadTo(row.storage)}
      submitText={words.upload}
      isReady={file !== null}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <FileInput
        label={words.file}
        placeholder={words.chooseFile}
        value={file}
        onChange={(next) => {
          setFile(next);
          if (next) setContent(contentOfFile(next.name));
        }}
      />
      <Select
        label={words.kind}
        allowDeselect={false}
        data={kinds}
        value={content}
        error={form.fields.content}
        onChange={(next) => setContent(next ?? 'iso')}
      />
      {form.isBusy && sent !== undefined && (
        <div className="tdp flat">
          <Bar part={sent} label={words.upload} />
          <span>{percent(sent)}</span>
        </div>
      )}
    </FormDialog>
  );
}

/** Upload, and download by address; `content` is what is looked for. */
export function StorageActions({ row, content }: { row: StorageRow; content?: string }) {
  const client = useQueryClient();
  const [open, setOpen] = useState<'upload' | 'download' | 'pull' | 'prune'>();
  const operations = useOperations().data;
  const isPulled = hasOperation(operations, 'POST', PULL);
  const isPruned =
    !content &&
    row.content.split(',').includes('backup') &&
    hasOperation(operations, 'DELETE', PRUNE);
  const close = () => setOpen(undefined);
  const prune = isPruned && (
    <Button icon="trash" onClick={() => setOpen('prune')}>
      {words.prune}
    </Button>
  );
  const pruning = open === 'prune' && <PruneBackups row={row} onClose={close} />;
  if (kindsOf(row).length === 0) {
    return (
      <>
        {prune}
        {pruning}
      </>
    );
  }
  return (
    <>
      {prune}
      {pruning}
      {isPulled && kindsOf(row).includes('vztmpl') && (
        <Button icon="down-tray" onClick={() => setOpen('pull')}>
          {words.pull}
        </Button>
      )}
      <Button icon="link" onClick={() => setOpen('download')}>
        {words.download}
      </Button>
      <Button icon="up-tray" kind="pri" onClick={() => setOpen('upload')}>
        {words.upload}
      </Button>
      {open === 'pull' && <PullImage row={row} onClose={close} />}
      {open === 'upload' && <Upload row={row} onClose={close} />}
      {open === 'download' && (
        <OperationDialog
          form={{
            operation: 'volume_download',
            method: 'POST',
            path: () => `${address(row)}/download-url`,
            title: words.downloadTo(row.storage),
            submit: words.download,
            fields: ['url', 'filename', 'content', 'checksum', 'checksum-algorithm'],
            values: { content: content ?? kindsOf(row)[0] ?? 'iso' },
            onAnswer: (upid) => followTask(client, words.download, upid as string),
          }}
          onClose={close}
        />
      )}
    </>
  );
}

/** Whether volumes can be copied: by root@pam, as soon as the node does it. */
export function useCopies(): boolean {
  const operations = useOperations().data;
  const session = useSession();
  const isRoot = session.state === 'in' && session.user === 'root@pam';
  return isRoot && hasOperation(operations, 'POST', VOLUME);
}

export function CopyVolume({
  row,
  volume,
  onClose,
}: {
  row: StorageRow;
  volume: Volume;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const name = plain(volume.volid);
  return (
    <OperationDialog
      form={{
        operation: 'volume_copy',
        method: 'POST',
        path: () => `${address(row)}/content/${encodeURIComponent(volume.volid)}`,
        title: words.copyOf(name),
        submit: words.copy,
        fields: ['target'],
        values: { target: volume.volid },
        onAnswer: (upid) => followTask(client, `${words.copy} ${name}`, upid as string),
      }}
      onClose={onClose}
    />
  );
}

export function RemoveVolume({
  row,
  volume,
  onClose,
}: {
  row: StorageRow;
  volume: Volume;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const name = plain(volume.volid);
  const submit = () =>
    form.submit(async () => {
      const upid = await api.delete<string | null>(
        `${address(row)}/content/${encodeURIComponent(volume.volid)}`,
      );
      followTask(client, `${t.hw.remove} ${name}`, upid);
    });
  return (
    <FormDialog
      title={t.records.removeTitle(name)}
      submitText={t.hw.remove}
      isDanger
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <p className="t2">{words.removes}</p>
    </FormDialog>
  );
}
