import { expect, it } from 'vitest';
import type { Field } from '../../api/operations';
import { withDevice } from './hostDevice';
import { nameIn, type Source, sourceOf } from './usb';

const FIELD: Field = {
  name: 'usb[n]',
  format: {
    host: { type: 'string', optional: 1, default_key: 1 },
    mapping: { type: 'string', optional: 1 },
    usb3: { type: 'boolean', optional: 1 },
  },
};

it('a USB device is named by a mapping, an id or a port', () => {
  const of = (value: string) => {
    const source = sourceOf(FIELD, value);
    return `${source} ${nameIn(FIELD, value, source)}`;
  };
  expect(of('mapping=dongle,usb3=1')).toBe('mapping dongle');
  expect(of('host=1234:5678')).toBe('id 1234:5678');
  expect(of('1-2.3')).toBe('port 1-2.3');
  expect(of('')).toBe('mapping ');
});

it('what is being typed stays, and is no name of another kind', () => {
  const shown = (value: string, source: Source) => nameIn(FIELD, value, source);
  expect([shown('1', 'port'), shown('1', 'id')]).toEqual(['1', '1']);
  expect([shown('1-2', 'id'), shown('1234:5678', 'port'), shown('1-2', 'mapping')]).toEqual([
    '',
    '',
    '',
  ]);
});

it('another device takes the place of the one before, and the rest stays', () => {
  const to = (source: Source, name: string) =>
    withDevice(FIELD, 'host=1234:5678,usb3=1', source, name);
  expect(to('mapping', 'dongle')).toBe('mapping=dongle,usb3=1');
  expect(to('port', '1-2')).toBe('1-2,usb3=1');
  expect(to('id', '')).toBe('');
});
