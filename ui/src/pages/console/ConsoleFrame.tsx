import { Modal, Textarea } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { errorText } from '../../api/tasks';
import { Button, IconButton } from '../../parts/Button';
import { Blank } from '../../parts/Page';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { BAR_KEYS, type Link, type Watcher } from './link';

type State = { word: 'connecting' | 'connected' } | { word: 'closed'; why?: string };

/** A screen, a serial port such as `serial0`, or the one terminal of a container or node. */
export type ConsoleKind = string;

/** Screens and terminals are loaded when they are opened. */
async function open(place: string, kind: ConsoleKind, element: HTMLElement, watcher: Watcher) {
  if (kind === 'screen') {
    const { openScreen } = await import('./screen');
    return openScreen(place, element, watcher);
  }
  const { openTerminal } = await import('./terminal');
  return openTerminal(place, kind === 'terminal' ? undefined : kind, element, watcher);
}

/** Opens a console in an element, again whenever `attempt` changes. */
function useConsole(place: string, kind: ConsoleKind, attempt: number) {
  const box = useRef<HTMLDivElement>(null);
  const link = useRef<Link>(undefined);
  const [state, setState] = useState<State>({ word: 'connecting' });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt opens it again.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let isOver = false;
    const watcher = {
      connected: () => !isOver && setState({ word: 'connected' }),
      closed: (why?: string) => !isOver && setState({ word: 'closed', why }),
    };
    setState({ word: 'connecting' });
    const opening = open(place, kind, element, watcher);
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
  }, [place, kind, attempt]);
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

/**
 * A console with its buttons. `place` is the path of the guest or node at the API, `ownWindow` the
 * address of its own window, if it is not in that.
 */
export function ConsoleFrame({
  place,
  kinds,
  ownWindow,
}: {
  place: string;
  kinds: ConsoleKind[];
  ownWindow?: string;
}) {
  const [kind, setKind] = useState(kinds[0] ?? 'screen');
  const [attempt, setAttempt] = useState(0);
  const [hasBar, setHasBar] = useState(() => matchMedia('(pointer: coarse)').matches);
  const [isPasting, setIsPasting] = useState(false);
  const { box, link, state } = useConsole(place, kind, attempt);
  const frame = useRef<HTMLDivElement>(null);
  useWayOut();
  const word = (one: string) => (one === 'screen' ? t.console.screen : t.console.serial(one));
  return (
    <div className="body flush" ref={frame}>
      <div className="ctb">
        {kind !== 'terminal' && (
          <Segmented
            label={t.console.label}
            value={kind}
            options={kinds.map((one) => [one, word(one)])}
            onChange={setKind}
          />
        )}
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
        {ownWindow && (
          <IconButton
            icon="ext"
            label={t.console.window}
            onClick={() => window.open(ownWindow, ownWindow, 'popup,noopener')}
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
