import { Modal, Textarea } from '@mantine/core';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { Guest } from '../../api/resources';
import { errorText } from '../../api/tasks';
import { Button, IconButton } from '../../parts/Button';
import { Blank, Loading } from '../../parts/Page';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { configOf, usePending } from '../guest/config';
import { useGuestOfPage } from '../guest/GuestPage';
import { BAR_KEYS, type Link, type Watcher } from './link';

type State = { word: 'connecting' | 'connected' } | { word: 'closed'; why?: string };

/** The two kinds are loaded when they are opened. */
async function open(guest: Guest, kind: string, element: HTMLElement, watcher: Watcher) {
  if (kind !== 'screen') {
    const { openTerminal } = await import('./terminal');
    return openTerminal(guest, kind, element, watcher);
  }
  const { openScreen } = await import('./screen');
  return openScreen(guest, element, watcher);
}

/** Opens a console in an element, again whenever `attempt` changes. */
function useConsole(guest: Guest, kind: string, attempt: number) {
  const box = useRef<HTMLDivElement>(null);
  const link = useRef<Link>(undefined);
  const [state, setState] = useState<State>({ word: 'connecting' });
  // biome-ignore lint/correctness/useExhaustiveDependencies: figures of the guest change all the time.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let isOver = false;
    const watcher = {
      connected: () => !isOver && setState({ word: 'connected' }),
      closed: (why?: string) => !isOver && setState({ word: 'closed', why }),
    };
    setState({ word: 'connecting' });
    const opening = open(guest, kind, element, watcher);
    opening.then(
      (opened) => {
        if (isOver) opened.close();
        else link.current = opened;
      },
      (error: unknown) => watcher.closed(errorText(error)),
    );
    return () => {
      isOver = true;
      link.current?.close();
      link.current = undefined;
      element.replaceChildren();
    };
  }, [guest.vmid, guest.node, kind, attempt]);
  return { box, link, state };
}

function Paste({ onSend, onClose }: { onSend: (text: string) => void; onClose: () => void }) {
  const [text, setText] = useState('');
  return (
    <Modal opened title={t.console.pasteTitle} onClose={onClose}>
      <Textarea
        autoFocus
        autosize
        minRows={4}
        maxRows={12}
        aria-label={t.console.pasteTitle}
        description={t.console.pasteHint}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <div className="modal-foot">
        <Button onClick={onClose}>{t.cancel}</Button>
        <Button
          kind="pri"
          disabled={!text}
          onClick={() => {
            onSend(text);
            onClose();
          }}
        >
          {t.console.send}
        </Button>
      </div>
    </Modal>
  );
}

function Opened({ guest, kinds, own }: { guest: Guest; kinds: string[]; own: boolean }) {
  const [kind, setKind] = useState(kinds[0] ?? 'screen');
  const [attempt, setAttempt] = useState(0);
  const [hasBar, setHasBar] = useState(() => matchMedia('(pointer: coarse)').matches);
  const [isPasting, setIsPasting] = useState(false);
  const { box, link, state } = useConsole(guest, kind, attempt);
  const frame = useRef<HTMLDivElement>(null);
  const word = (one: string) => (one === 'screen' ? t.console.screen : t.console.serial(one));
  return (
    <div className="body flush" ref={frame}>
      <div className="ctb">
        <Segmented
          label={t.console.label}
          value={kind}
          options={kinds.map((one) => [one, word(one)])}
          onChange={setKind}
        />
        {kind === 'screen' && (
          <Button kind="sm" onClick={() => link.current?.ctrlAltDel?.()}>
            {t.console.cad}
          </Button>
        )}
        <Button kind="sm" icon="paste" onClick={() => setIsPasting(true)}>
          {t.console.paste}
        </Button>
        <Button
          kind={`sm ${hasBar ? 'is-active' : ''}`}
          icon="keyboard"
          aria-pressed={hasBar}
          onClick={() => setHasBar(!hasBar)}
        >
          {t.console.keys}
        </Button>
        <span className="grow" />
        <span className={`live ${state.word}`} role="status">
          {t.console[state.word]}
        </span>
        <IconButton
          icon="reboot"
          label={t.console.reconnect}
          onClick={() => setAttempt(attempt + 1)}
        />
        {!own && (
          <IconButton
            icon="ext"
            label={t.console.window}
            onClick={() =>
              window.open(`/console/${guest.vmid}`, `console-${guest.vmid}`, 'popup,noopener')
            }
          />
        )}
        <IconButton
          icon="full"
          label={t.console.full}
          onClick={() => void frame.current?.requestFullscreen()}
        />
      </div>
      <div className="term">
        <div className="term-in" data-keyboard="own" ref={box} />
        {state.word === 'closed' && (
          <div className="term-over">
            <Blank icon="console" title={t.console.lost}>
              {state.why && <p>{state.why}</p>}
              <Button icon="reboot" onClick={() => setAttempt(attempt + 1)}>
                {t.console.reconnect}
              </Button>
            </Blank>
          </div>
        )}
      </div>
      {hasBar && (
        <div className="kbar">
          {BAR_KEYS.map((key) => (
            <button
              key={key.label}
              type="button"
              className="kb"
              onClick={() => link.current?.key(key)}
            >
              {key.label}
            </button>
          ))}
          <span className="h">{t.console.leave}</span>
        </div>
      )}
      {isPasting && (
        <Paste
          onSend={(text) => link.current?.paste(text)}
          onClose={() => {
            setIsPasting(false);
            link.current?.focus();
          }}
        />
      )}
    </div>
  );
}

/** Ctrl Shift Esc gives the keyboard back to the page. */
function useWayOut() {
  useEffect(() => {
    const leave = (event: KeyboardEvent) => {
      if (!(event.key === 'Escape' && event.ctrlKey && event.shiftKey)) return;
      event.preventDefault();
      event.stopPropagation();
      document.querySelector<HTMLElement>('.tabs a, .ctb button')?.focus();
    };
    window.addEventListener('keydown', leave, true);
    return () => window.removeEventListener('keydown', leave, true);
  }, []);
}

export function GuestConsole({ guest, own = false }: { guest: Guest; own?: boolean }): ReactNode {
  const pending = usePending(guest);
  useWayOut();
  if (guest.status === 'stopped') {
    return (
      <Blank icon="console" title={t.console.offTitle(guest.label)}>
        <p>{t.console.offText}</p>
      </Blank>
    );
  }
  if (!pending.data) return <Loading />;
  const config = configOf(pending.data, 'now');
  const serials = [...config.keys()].filter((key) => /^serial\d$/.test(key));
  const display = config.get('vga') ?? '';
  const kinds = display.startsWith('serial') ? serials : ['screen', ...serials];
  return <Opened guest={guest} kinds={kinds} own={own} />;
}

export default function ConsoleTab() {
  const guest = useGuestOfPage();
  return guest ? <GuestConsole guest={guest} /> : null;
}
