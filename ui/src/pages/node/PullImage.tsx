import { Autocomplete, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, path } from '../../api/client';
import type { StorageRow } from '../../api/resources';
import { followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { t } from '../../texts';

const words = t.storage;

/** Makes a container template of an image in an OCI registry. */
export function PullImage({ row, onClose }: { row: StorageRow; onClose: () => void }) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const [image, setImage] = useState('');
  const [tag, setTag] = useState('latest');
  const [filename, setFilename] = useState('');
  // Asked for by a button: each question goes out to a registry.
  const [asked, setAsked] = useState('');
  const tags = useQuery({
    queryKey: ['oci-tags', row.node, asked],
    queryFn: () =>
      api.get<string[]>(`${path('nodes', row.node)}/query-oci-repo-tags`, { reference: asked }),
    enabled: asked !== '',
    retry: false,
    staleTime: 60_000,
  });
  const submit = () =>
    form.submit(async () => {
      const reference = `${image}:${tag}`;
      const upid = await api.post<string>(
        `${path('nodes', row.node, 'storage', row.storage)}/oci-registry-pull`,
        filename === '' ? { reference } : { reference, filename },
      );
      followTask(client, `${words.pull} ${reference}`, upid);
    });
  return (
    <FormDialog
      title={words.pullTo(row.storage)}
      submitText={words.pull}
      isReady={image !== '' && tag !== ''}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label={words.image}
        description={words.imageHint}
        placeholder="docker.io/library/nginx"
        value={image}
        error={form.fields.reference}
        onChange={(event) => setImage(event.currentTarget.value.trim())}
      />
      <Autocomplete
        label={words.tag}
        data={asked === image ? [...new Set(tags.data)] : []}
        limit={50}
        value={tag}
        error={tags.isError && asked === image ? plain(tags.error.message) : undefined}
        onChange={setTag}
      />
      <Button disabled={image === '' || tags.isFetching} onClick={() => setAsked(image)}>
        {words.listTags}
      </Button>
      <TextInput
        label={words.fileName}
        description={words.fileNameHint}
        value={filename}
        error={form.fields.filename}
        onChange={(event) => setFilename(event.currentTarget.value)}
      />
    </FormDialog>
  );
}
