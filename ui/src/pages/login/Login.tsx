import { Checkbox, PasswordInput, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { ApiError, api } from '../../api/client';
import { answerChallenge, type Challenge, login, type Session } from '../../api/session';
import { Button } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { t } from '../../texts';
import { SecondFactor } from './SecondFactor';

type Domain = { realm: string; comment?: string; default?: number };

const NAME = 'ostler-user';

function nameAndRealm(session: Session) {
  const known = (session.state === 'out' && session.user) || localStorage.getItem(NAME) || '';
  const at = known.lastIndexOf('@');
  return at < 0 ? [known, ''] : [known.slice(0, at), known.slice(at + 1)];
}

export function errorOfLogin(error: unknown, refused: string): string {
  if (error instanceof ApiError && error.status === 401) return refused;
  return error instanceof Error ? error.message : String(error);
}

function useDomains() {
  return useQuery({ queryKey: ['domains'], queryFn: () => api.domains<Domain[]>() });
}

function FirstStep({
  session,
  onChallenge,
}: {
  session: Session;
  onChallenge: (challenge: Challenge) => void;
}) {
  const domains = useDomains();
  const [[knownName, knownRealm]] = useState(() => nameAndRealm(session));
  const [name, setName] = useState(knownName ?? '');
  const [password, setPassword] = useState('');
  const [chosen, setChosen] = useState(knownRealm ?? '');
  const [remembers, setRemembers] = useState(localStorage.getItem(NAME) !== null);
  const [error, setError] = useState('');
  const [isBusy, setIsBusy] = useState(false);
  const realms = domains.data ?? [];
  const realm = chosen || realms.find((one) => one.default)?.realm || realms.at(-1)?.realm || 'pam';
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setIsBusy(true);
    setError('');
    const user = name.includes('@') ? name : `${name}@${realm}`;
    if (remembers) localStorage.setItem(NAME, user);
    else localStorage.removeItem(NAME);
    try {
      const challenge = await login(user, password);
      if (challenge) onChallenge(challenge);
    } catch (refusal) {
      setError(errorOfLogin(refusal, t.login.wrong));
    }
    setIsBusy(false);
  };
  return (
    <form className="lf" onSubmit={submit}>
      {session.state === 'out' && session.ended && <p className="t2">{t.login.ended}</p>}
      <TextInput
        label={t.login.user}
        autoComplete="username"
        autoFocus={!name}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <PasswordInput
        label={t.login.password}
        autoComplete="current-password"
        autoFocus={name !== ''}
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      <Select
        label={t.login.realm}
        data={realms.map((one) => ({ value: one.realm, label: one.comment || one.realm }))}
        value={realm}
        allowDeselect={false}
        onChange={(value) => setChosen(value ?? '')}
      />
      {error && (
        <p className="hint e" role="alert">
          {error}
        </p>
      )}
      <div className="row between">
        <Checkbox
          label={t.login.remember}
          checked={remembers}
          onChange={(event) => setRemembers(event.target.checked)}
        />
        <Button type="submit" kind="pri" disabled={isBusy || !name || !password}>
          {t.login.submit}
        </Button>
      </div>
    </form>
  );
}

export function Login({ session }: { session: Session }) {
  const [challenge, setChallenge] = useState<Challenge>();
  return (
    <div className="lg0">
      <main className="lgw">
        <section className="lc" aria-label={t.login.submit}>
          <header>
            <Icon name="logo" className="logo" />
            <div>
              <h1>{t.brand}</h1>
              <p>{location.hostname}</p>
            </div>
          </header>
          {challenge ? (
            <SecondFactor
              challenge={challenge}
              answer={(kind, value) => answerChallenge(challenge, kind, value)}
              onLeave={() => setChallenge(undefined)}
            />
          ) : (
            <FirstStep session={session} onChallenge={setChallenge} />
          )}
        </section>
      </main>
      <footer className="lfp">
        <a href="/api">{t.login.apiDocs}</a>
      </footer>
    </div>
  );
}
