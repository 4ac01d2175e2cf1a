/** A program that is run in a container: what is typed, what it prints, how it ended. */

import type { LogLine } from '../api/tasks';

/**
 * The words of a line as a shell has them: parted by blanks, with quotes and backslashes. Nothing
 * else means anything. None if a quote has no end.
 */
export function wordsOf(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at] ?? '';
    const next = line[at + 1];
    const isEscape = letter === '\\' && quote !== "'" && next !== undefined;
    if (isEscape && (quote === '' || next === '"' || next === '\\')) {
      word = (word ?? '') + next;
      at += 1;
    } else if (quote === '' && (letter === "'" || letter === '"')) {
      quote = letter;
      word ??= '';
    } else if (letter === quote) {
      quote = '';
    } else if (quote === '' && /\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + letter;
    }
  }
  if (quote !== '') return undefined;
  return word === undefined ? words : [...words, word];
}

/** What the program printed: the log without what the task says itself, which is its end when it is last. */
export function outputOf(lines: LogLine[]): string[] {
  const texts = lines.map((line) => line.t);
  if (lines[0]?.n === 1 && /^running '.*' in CT \d+$/.test(texts[0] ?? '')) texts.shift();
  if (/^TASK (OK|ERROR: .*)$/.test(texts.at(-1) ?? '')) texts.pop();
  return texts;
}

/** The exit code that a task's status tells; none where it ended in another way. */
export function exitCodeOf(status: string): number | undefined {
  if (status === 'OK') return 0;
  const [, code] = /failed: exit code (\d+)$/.exec(status) ?? [];
  return code === undefined ? undefined : Number(code);
}
