import { TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { Challenge } from '../../api/session';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { errorOfLogin } from './Login';

const DIGITS = 6;

/** The second step: a code of the app is sent when its sixth digit is typed. */
export function SecondFactor({
  challenge,
  answer,
  onLeave,
}: {
  challenge: Challenge;
  answer: (kind: string, value: string) => Promise<void>;
  onLeave: () => void;
}) {
  const kinds = challenge.kinds.filter((kind) => t.login.kinds[kind]);
  const [kind, setKind] = useState(kinds[0] ?? '');
  const [value, setValue] = useState('');
  const [error, setError] = useState('');
  const [isBusy, setIsBusy] = useState(false);
  const send = async (code: string) => {
    setIsBusy(true);
    setError('');
    try {
      await answer(kind, code.trim());
    } catch (refusal) {
      setError(errorOfLogin(refusal, t.login.wrongCode));
      setValue('');
    }
    setIsBusy(false);
  };
  const change = (text: string) => {
    const code = kind === 'totp' ? text.replace(/\D/g, '').slice(0, DIGITS) : text;
    setValue(code);
    if (kind === 'totp' && code.length === DIGITS) void send(code);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void send(value);
  };
  return (
    <form className="lf" onSubmit={submit}>
      <p className="who">
        <Icon name="user" />
        <span>
          <span className="mono">{challenge.user}</span>, {t.login.second}
        </span>
        <span className="grow" />
        <button type="button" className="lnk" onClick={onLeave}>
          {t.login.notYou}
        </button>
      </p>
      {kinds.length === 0 && (
        <p className="hint e">{t.login.unsupported(challenge.kinds.join(', '))}</p>
      )}
      {kinds.length > 1 && (
        <Segmented
          label={t.login.second}
          value={kind}
          options={kinds.map((one) => [one, t.login.kinds[one] ?? one])}
          onChange={(next) => {
            setKind(next);
            setValue('');
          }}
        />
      )}
      {kind && (
        <>
          <TextInput
            key={kind}
            className={kind === 'totp' ? 'otp' : ''}
            label={t.login.labels[kind]}
            inputMode={kind === 'totp' ? 'numeric' : undefined}
            autoComplete="one-time-code"
            autoFocus
            disabled={isBusy}
            value={value}
            error={error}
            onChange={(event) => change(event.target.value)}
          />
          <div className="row between">
            <span />
            <Button type="submit" kind="pri" disabled={isBusy || !value}>
              {t.login.verify}
            </Button>
          </div>
        </>
      )}
    </form>
  );
}
