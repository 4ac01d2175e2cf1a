import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react';
import { useOperations } from '../api/operations';
import { useOutline } from '../api/stream';
import { plain } from '../format';
import { Glyph } from '../parts/Glyph';
import { Icon } from '../parts/Icon';
import { kindOf } from '../parts/State';
import { t } from '../texts';
import { type Entry, paletteEntries } from './paletteEntries';
import { setView } from './view';

function Line({
  entry,
  isOn,
  onChoose,
}: {
  entry: Entry;
  isOn: boolean;
  onChoose: (isNewTab: boolean) => void;
}) {
  const line = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isOn) line.current?.scrollIntoView({ block: 'nearest' });
  }, [isOn]);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys.
    <div
      ref={line}
      id={`pal-${entry.key}`}
      className={`pr ${isOn ? 'on' : ''} ${entry.refused ? 'dis' : ''}`}
      role="option"
      tabIndex={-1}
      aria-selected={isOn}
      aria-disabled={entry.refused !== undefined}
      onClick={(event) => onChoose(event.ctrlKey || event.metaKey)}
    >
      {entry.guest ? (
        <Glyph kind={kindOf(entry.guest)} state={entry.guest.state} />
      ) : (
        <Icon name={entry.icon ?? 'right'} className="s" />
      )}
      <span className="trunc">{plain(entry.label)}</span>
      {entry.aside && <span className="muted">{entry.aside}</span>}
      {isOn && !entry.refused && <kbd>↵</kbd>}
    </div>
  );
}

export function Palette() {
  const outline = useOutline();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [words, setWords] = useState('');
  const [at, setAt] = useState(0);
  const opener = useRef(document.activeElement);
  // What is not offered for containers is not found.
  const table = useOperations().data;
  const entries = useMemo(
    () => paletteEntries(outline, words.trim(), client, table),
    [outline, words, client, table],
  );
  const close = () => {
    setView({ isPaletteOpen: false });
    if (opener.current instanceof HTMLElement) opener.current.focus();
  };
  const choose = (entry: Entry | undefined, isNewTab: boolean) => {
    if (!entry || entry.refused) return;
    close();
    if (entry.run) entry.run();
    else if (isNewTab) window.open(entry.to, '_blank', 'noopener');
    else void navigate({ href: entry.to ?? '/' });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step !== 0) setAt((at + step + entries.length) % Math.max(1, entries.length));
    else if (event.key === 'Enter') choose(entries[at], event.ctrlKey || event.metaKey);
    else if (event.key === 'Escape' || event.key === 'Tab') close();
    else return;
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/noStaticElementInteractions: Esc closes as well.
    <div className="scrim" onClick={(event) => event.target === event.currentTarget && close()}>
      <div className="pal" role="dialog" aria-modal="true" aria-label={t.palette.label}>
        <div className="pin">
          <Icon name="search" />
          <input
            // biome-ignore lint/a11y/noAutofocus: it was opened to type into it.
            autoFocus
            role="combobox"
            aria-expanded="true"
            aria-controls="pal-list"
            aria-activedescendant={entries[at] && `pal-${entries[at].key}`}
            aria-label={t.palette.label}
            placeholder={t.search}
            value={words}
            onChange={(event) => {
              setWords(event.target.value);
              setAt(0);
            }}
            onKeyDown={onKeyDown}
          />
          <kbd>Esc</kbd>
        </div>
        <div className="pal-list" id="pal-list" role="listbox" aria-label={t.palette.label}>
          {entries.length === 0 && <p className="ps">{t.palette.nothing}</p>}
          {entries.map((entry, index) => (
            <div key={entry.key} role="presentation">
              {entry.group !== entries[index - 1]?.group && (
                <p className="ps" role="presentation">
                  {entry.group}
                </p>
              )}
              <Line
                entry={entry}
                isOn={index === at}
                onChoose={(isNewTab) => choose(entry, isNewTab)}
              />
            </div>
          ))}
        </div>
        <div className="pft">
          <span>
            <kbd>↑</kbd> <kbd>↓</kbd> {t.palette.choose}
          </span>
          <span>
            <kbd>Ctrl</kbd> <kbd>↵</kbd> {t.palette.newTab}
          </span>
        </div>
      </div>
    </div>
  );
}
