import { expect, it } from 'vitest';
import { exitCodeOf, outputOf, wordsOf } from './program';

it('a line is parted as a shell does, and nothing else in it means anything', () => {
  expect(wordsOf(' ip  address ')).toEqual(['ip', 'address']);
  expect(wordsOf(`sh -c 'echo "a  b" $HOME; ls | wc' x`)).toEqual([
    'sh',
    '-c',
    'echo "a  b" $HOME; ls | wc',
    'x',
  ]);
  expect(wordsOf(`a\\ b "c \\"d\\" \\n" '' e''f`)).toEqual(['a b', 'c "d" \\n', '', 'ef']);
  expect(wordsOf('   ')).toEqual([]);
  expect(wordsOf("echo 'a")).toBeUndefined();
  expect(wordsOf('a\\')).toEqual(['a\\']);
});

it('output is what is between the lines of the task', () => {
  const lines = (...texts: string[]) => texts.map((t, at) => ({ n: at + 1, t }));
  const whole = lines("running 'sh' in CT 100", "running 'x' in CT 7", 'TASK OK', 'TASK OK');
  expect(outputOf(whole)).toEqual(["running 'x' in CT 7", 'TASK OK']);
  // The beginning of a long log is not there.
  expect(outputOf([{ n: 501, t: "running 'x' in CT 7" }])).toHaveLength(1);
});

it('the exit code is read from the status', () => {
  expect(exitCodeOf('OK')).toBe(0);
  expect(exitCodeOf("command '/bin/sh' failed: exit code 3")).toBe(3);
  expect(exitCodeOf("command 'x' was killed by a signal")).toBeUndefined();
});
