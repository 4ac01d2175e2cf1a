import { toast } from '../api/toasts';
import { plain } from '../format';
import { t } from '../texts';
import { IconButton } from './Button';

export async function copy(text: string) {
  await navigator.clipboard.writeText(text);
  toast({ tone: 'running', text: t.copied });
}

export type DiffLine = { kind: 'add' | 'del' | 'ctx'; text: string };

const SIGNS = { add: '+', del: '-', ctx: ' ' };

/** Text to read and copy, under a head. */
export function CodeBox({ title, text }: { title: string; text: string }) {
  return (
    <div className="codebox">
      <div className="hdx">
        <span>{title}</span>
        <IconButton icon="copy" label={`${t.copy}: ${title}`} onClick={() => void copy(text)} />
      </div>
      <div className="code p">{plain(text)}</div>
    </div>
  );
}

export function DiffBox({ title, lines }: { title: string; lines: DiffLine[] }) {
  return (
    <div className="codebox">
      <div className="hdx">
        <span>{title}</span>
      </div>
      <div className="code diff">
        {lines.map((line) => (
          <div
            key={`${line.kind}${line.text}`}
            className={`l ${line.kind}`}
            data-s={SIGNS[line.kind]}
          >
            <span>{plain(line.text)}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
