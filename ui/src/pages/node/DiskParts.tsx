/** What the dialogs of disks and of pools are made of. */

import { Checkbox, Select } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/client';
import { followTask } from '../../api/tasks';
import { useSubmit } from '../../dialogs/Frame';
import { bytes, plain } from '../../format';
import { CodeBox } from '../../parts/CodeBox';
import { t } from '../../texts';
import { commandOf, requestOf } from '../hardware/change';
import { commandOfRequest, type Request } from './diskChanges';
import type { Disk } from './disks';

const words = t.node.disks.change;

/** The change as request and command, before it is sent. */
export function Shown({ request }: { request: Request }) {
  const { method, address, params } = request;
  return (
    <>
      <CodeBox title={t.hw.api} text={requestOf(method, address, params, '')} />
      <CodeBox title={t.hw.command} text={commandOf(commandOfRequest(request), params, '')} />
    </>
  );
}

/** Sends a request that starts a task, which is followed by its name. */
export function useSend(name: string, onClose: () => void) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const send = ({ method, address, params }: Request) =>
    form.submit(async () => {
      const call = { POST: api.post<string>, PUT: api.put<string>, DELETE: api.delete<string> };
      followTask(client, name, await call[method](address, params));
    });
  return { form, send };
}

export const about = (disk: Disk) =>
  [disk.devpath, bytes(disk.size), disk.model === 'unknown' ? '' : disk.model]
    .filter(Boolean)
    .map((part) => plain(part ?? ''))
    .join(', ');

/** The choice of one free disk, or of several. */
export function Devices({
  free,
  areSeveral,
  label,
  chosen,
  error,
  onChange,
}: {
  free: Disk[];
  areSeveral: boolean;
  label?: string;
  chosen: string[];
  error?: string;
  onChange: (devices: string[]) => void;
}) {
  if (free.length === 0) return <p className="tone t-warning">{words.noFree}</p>;
  if (!areSeveral) {
    return (
      <Select
        label={label ?? words.device}
        data={free.map((disk) => ({ value: disk.devpath, label: about(disk) }))}
        value={chosen[0] ?? null}
        error={error}
        onChange={(device) => onChange(device ? [device] : [])}
      />
    );
  }
  return (
    <Checkbox.Group label={label ?? words.devices} value={chosen} error={error} onChange={onChange}>
      <div className="picks">
        {free.map((disk) => (
          <Checkbox key={disk.devpath} value={disk.devpath} label={about(disk)} />
        ))}
      </div>
    </Checkbox.Group>
  );
}
