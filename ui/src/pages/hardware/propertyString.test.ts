import { describe, expect, it } from 'vitest';
import type { Field } from '../../api/operations';
import { parse, print, refusalOf } from './propertyString';

const net: Field = {
  name: 'net[n]',
  format: {
    model: { type: 'string', default_key: 1 },
    macaddr: { type: 'string' },
    virtio: { alias: 'macaddr', keyAlias: 'model' },
    bridge: { type: 'string' },
    tag: { type: 'integer', minimum: 1, maximum: 4094 },
  },
};
const disk: Field = {
  name: 'scsi[n]',
  format: { file: { type: 'string', default_key: 1 }, size: { type: 'string' } },
};

describe('property strings', () => {
  const text = 'virtio=BC:24:11:6E:0A:F1,bridge=vmbr0,tag=28';
  it('are read with their short forms', () => {
    expect([...parse(net, text)]).toEqual([
      ['model', 'virtio'],
      ['macaddr', 'BC:24:11:6E:0A:F1'],
      ['bridge', 'vmbr0'],
      ['tag', '28'],
    ]);
    expect(parse(disk, 'local:100/a.qcow2,size=4G').get('file')).toBe('local:100/a.qcow2');
  });
  it('are written as they were read', () => {
    expect(print(net, parse(net, text))).toBe(text);
    expect(
      print(
        net,
        new Map([
          ['model', 'virtio'],
          ['bridge', 'vmbr1'],
          ['tag', ''],
        ]),
      ),
    ).toBe('virtio,bridge=vmbr1');
    expect(print(disk, parse(disk, 'local:4,ssd=1'))).toBe('local:4,ssd=1');
  });
});

it('limits are checked as typed', () => {
  const texts = { atLeast: (n: number) => `>=${n}`, atMost: (n: number) => `<=${n}`, number: 'no' };
  const tag: Field = { name: 'tag', type: 'integer', minimum: 1, maximum: 4094 };
  expect(['0', '5000', '1.5', 'x', '28', ''].map((value) => refusalOf(tag, value, texts))).toEqual([
    '>=1',
    '<=4094',
    'no',
    'no',
    undefined,
    undefined,
  ]);
});
