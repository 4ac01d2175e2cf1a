import { describe, expect, it } from 'vitest';
import { changesOf, commandOf, diffOf, paramsOf, quoted } from './change';

const before = new Map([
  ['cores', '2'],
  ['memory', '512'],
  ['net0', 'virtio,bridge=vmbr0'],
]);

describe('a change', () => {
  const changes = changesOf(
    before,
    new Map<string, string | null>([
      ['memory', '1024'],
      ['net0', null],
      ['cores', '2'],
      ['numa', null],
    ]),
  );
  it('has only what is different', () => {
    expect([...changes.keys()]).toEqual(['memory', 'net0']);
  });
  it('is shown as a diff', () => {
    expect(diffOf(before, changes, '*').map((line) => `${line.kind} ${line.text}`)).toEqual([
      'ctx cores: 2',
      'del memory: 512',
      'add memory: 1024',
      'del net0: virtio,bridge=vmbr0',
    ]);
  });
  it('is one request and one command', () => {
    expect(paramsOf(changes, 'abc')).toEqual({ memory: '1024', delete: 'net0', digest: 'abc' });
    expect(commandOf('qm set 100', paramsOf(changes, 'abc'), '*')).toBe(
      'qm set 100 \\\n  --memory 1024 \\\n  --delete net0',
    );
  });
});

it('a password is in no text', () => {
  const changes = new Map([['cipassword', 'geheim']]);
  expect(JSON.stringify(diffOf(new Map(), changes, '(hidden)'))).not.toContain('geheim');
  expect(commandOf('qm set 1', paramsOf(changes), '(hidden)')).not.toContain('geheim');
});

it('words of a command are quoted where a shell would read them', () => {
  expect(quoted('a b')).toBe("'a b'");
  expect(quoted("it's")).toBe("'it'\\''s'");
  expect(quoted('virtio,bridge=vmbr0')).toBe('virtio,bridge=vmbr0');
});
