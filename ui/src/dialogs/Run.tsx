import { NumberInput, Textarea, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { operationPath } from '../actions/guest';
import { KINDS } from '../actions/kinds';
import { api } from '../api/client';
import { followTask, partsOfUpid, stateOfTask, type Task, useTasks } from '../api/tasks';
import { plain } from '../format';
import { quoted } from '../pages/hardware/change';
import { Ring } from '../parts/Bar';
import { CodeBox } from '../parts/CodeBox';
import { ToneWord } from '../parts/State';
import { useTaskLog } from '../shell/TaskLog';
import { t } from '../texts';
import { type DialogProps, FormDialog, useSubmit } from './Frame';
import { exitCodeOf, outputOf, wordsOf } from './program';

const words = t.dialog.exec;

function Ended({ status }: { status: string }) {
  const code = exitCodeOf(status);
  return (
    <ToneWord tone={code === 0 ? 'running' : 'error'} icon={code === 0 ? 'check' : 'err'}>
      {code === undefined ? plain(status) : words.exitCode(code)}
    </ToneWord>
  );
}

/** What the program printed so far, and how it ended. */
function Output({ upid }: { upid: string }) {
  const tasks = useTasks();
  const task: Task = tasks.find((one) => one.upid === upid) ?? partsOfUpid(upid);
  const isRunning = stateOfTask(task) === 'running';
  const log = useTaskLog(task, isRunning);
  const lines = outputOf(log.data ?? []);
  const isRead = !isRunning && log.isSuccess && !log.isPlaceholderData;
  return (
    <div className="codebox">
      <div className="hdx">
        <span>{words.output}</span>
        <span className="grow" />
        {isRunning ? <Ring /> : <Ended status={task.status ?? ''} />}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it. */}
      <pre className="code p ran" role="log" aria-label={words.output} tabIndex={0}>
        {lines.length > 0 ? lines.map(plain).join('\n') : isRead && words.silent}
      </pre>
    </div>
  );
}

/** Runs a program in a container, as its root, and shows what it prints. */
export function Run({ guest, onClose }: DialogProps) {
  const client = useQueryClient();
  const [line, setLine] = useState('');
  const [input, setInput] = useState('');
  const [seconds, setSeconds] = useState<string | number>('');
  const [upid, setUpid] = useState<string>();
  const form = useSubmit(() => {});
  const command = wordsOf(line);
  const submit = () =>
    form.submit(async () => {
      const started = await api.post<string>(operationPath(guest, 'exec'), {
        command,
        'input-data': input || undefined,
        timeout: seconds || undefined,
      });
      setUpid(started);
      followTask(client, words.asked(line, guest.label), started);
    });
  return (
    <FormDialog
      title={words.title(guest.label)}
      submitText={upid ? words.again : words.submit}
      closeText={upid && t.close}
      isReady={command !== undefined && command.length > 0}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="xl"
    >
      <TextInput
        data-autofocus
        className="mono-in"
        label={words.command}
        description={words.commandHint}
        autoComplete="off"
        spellCheck={false}
        value={line}
        error={form.fields.command ?? (command === undefined && words.noEnd)}
        onChange={(event) => setLine(event.target.value)}
      />
      <div className="f2">
        <Textarea
          className="wide mono-in"
          label={words.input}
          autosize
          maxRows={6}
          value={input}
          error={form.fields['input-data']}
          onChange={(event) => setInput(event.target.value)}
        />
        <NumberInput
          className="short"
          label={words.timeout}
          placeholder={t.none}
          min={1}
          max={86400}
          value={seconds}
          error={form.fields.timeout}
          onChange={setSeconds}
        />
      </div>
      {command && command.length > 0 && (
        <CodeBox
          title={t.hw.command}
          text={[KINDS.lxc.command, 'exec', guest.vmid, '--', ...command.map(quoted)].join(' ')}
        />
      )}
      {upid && <Output key={upid} upid={upid} />}
    </FormDialog>
  );
}
