import { PasswordInput, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { api, path } from '../../api/client';
import { useSession } from '../../api/session';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { dateTime } from '../../format';
import { Button } from '../../parts/Button';
import { CodeBox } from '../../parts/CodeBox';
import { t } from '../../texts';
import { type RecordKind, Records, type Row, text } from './Records';
import { Secret, type Shown } from './Secret';
import { newSecret, totpAddress } from './totp';

const words = t.records;

/** The list has each user with all entries. */
export function factorRows(users: Row[]): Row[] {
  return users.flatMap((user) =>
    ((user.entries as Row[] | undefined) ?? []).map((entry) => ({
      ...entry,
      userid: user.userid,
    })),
  );
}

type AddProps = {
  kind: 'totp' | 'recovery';
  user: string;
  onShow: (shown: Shown) => void;
  onClose: () => void;
};

function Add({ kind, user, onShow, onClose }: AddProps) {
  const [secret] = useState(newSecret);
  const [description, setDescription] = useState(words.factorKinds[kind] ?? kind);
  const [code, setCode] = useState('');
  const [password, setPassword] = useState('');
  const form = useSubmit(onClose);
  const isTotp = kind === 'totp';
  const address = totpAddress(secret, user, 'Ostler');
  const submit = () =>
    form.submit(async () => {
      const answer = await api.post<{ recovery?: string[] }>(path('access', 'tfa', user), {
        type: kind,
        description,
        totp: isTotp ? address : undefined,
        value: isTotp ? code : undefined,
        password: password || undefined,
      });
      if (!answer.recovery) return;
      onShow({
        title: words.recoveryTitle,
        text: words.recoveryText,
        label: words.factorKinds.recovery ?? '',
        secret: answer.recovery.join('\n'),
      });
    });
  return (
    <FormDialog
      title={`${isTotp ? words.addTotp : words.addRecovery}: ${user}`}
      submitText={words.add}
      isReady={!isTotp || (code.length === 6 && description !== '')}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      {isTotp && (
        <>
          <p className="t2">{words.totpText}</p>
          <CodeBox title={words.totpSecret} text={address} />
          <TextInput
            label={words.description}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
          <TextInput
            label={words.code}
            inputMode="numeric"
            autoComplete="one-time-code"
            value={code}
            error={form.fields.value}
            onChange={(event) => setCode(event.target.value.replace(/\D/g, '').slice(0, 6))}
          />
        </>
      )}
      <PasswordInput
        label={words.password}
        autoComplete="current-password"
        value={password}
        error={form.fields.password}
        onChange={(event) => setPassword(event.target.value)}
      />
    </FormDialog>
  );
}

export function Factors({ choice }: { choice: ReactNode }) {
  const session = useSession();
  const user = session.state === 'in' ? session.user : '';
  const [adds, setAdds] = useState<'totp' | 'recovery'>();
  const [shown, setShown] = useState<Shown>();
  const kind: RecordKind = {
    list: '/access/tfa',
    rowsOf: factorRows,
    nameOf: (row) => `${row.userid} ${row.id}`,
    columns: [
      [words.user, (row) => text(row, 'userid')],
      [words.kind, (row) => words.factorKinds[String(row.type)] ?? text(row, 'type')],
      [words.description, (row) => text(row, 'description')],
      [t.storage.made, (row) => (row.created ? dateTime(Number(row.created)) : '')],
    ],
    empty: { icon: 'shield', title: words.noFactors, text: words.noFactorsText },
    remove: (row) => api.delete(path('access', 'tfa', String(row.userid), String(row.id))),
  };
  return (
    <>
      <Records kind={kind}>
        {choice}
        <span className="grow" />
        <Button kind="sm" icon="plus" onClick={() => setAdds('totp')}>
          {words.addTotp}
        </Button>
        <Button kind="sm" icon="plus" onClick={() => setAdds('recovery')}>
          {words.addRecovery}
        </Button>
      </Records>
      {adds && <Add kind={adds} user={user} onShow={setShown} onClose={() => setAdds(undefined)} />}
      {shown && <Secret shown={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}
