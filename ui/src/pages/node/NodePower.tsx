import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, path } from '../../api/client';
import type { Guest } from '../../api/resources';
import { toast } from '../../api/toasts';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { t } from '../../texts';

const words = t.node.power;

type Command = 'reboot' | 'shutdown';
type Props = { node: string; guests: Guest[] };

/** Asks for the node's name, and says which guests stop with it. */
function Confirm({
  node,
  guests,
  command,
  onClose,
}: Props & { command: Command; onClose: () => void }) {
  const [typed, setTyped] = useState('');
  const form = useSubmit(onClose);
  const stopping = guests.filter((guest) => guest.status === 'running');
  const submit = () =>
    form.submit(async () => {
      await api.post(`${path('nodes', node)}/status`, { command });
      toast({ tone: 'busy', text: words.asked(words[command], node) });
    });
  return (
    <FormDialog
      title={words.title(words[command], node)}
      submitText={words[command]}
      isDanger
      isReady={typed.trim() === node}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <div className="fx">
        <h3>{stopping.length > 0 ? words.stops : words.stopsNone}</h3>
        <ul>
          {stopping.map((guest) => (
            <li key={guest.vmid} className="tone t-error">
              <Icon name="power" className="s" />
              <span>
                <span className="mono">{guest.vmid}</span> {plain(guest.label)}
              </span>
            </li>
          ))}
        </ul>
      </div>
      <p>{words.after[command]}</p>
      <TextInput
        data-autofocus
        label={words.type(node)}
        autoComplete="off"
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
    </FormDialog>
  );
}

/** Reboot and shutdown of a node. */
export function NodePower({ node, guests }: Props) {
  const [command, setCommand] = useState<Command>();
  return (
    <>
      <span className="group">
        <Button icon="power" onClick={() => setCommand('shutdown')}>
          {words.shutdown}
        </Button>
        <Button icon="reboot" onClick={() => setCommand('reboot')}>
          {words.reboot}
        </Button>
      </span>
      {command && (
        <Confirm
          node={node}
          guests={guests}
          command={command}
          onClose={() => setCommand(undefined)}
        />
      )}
    </>
  );
}
