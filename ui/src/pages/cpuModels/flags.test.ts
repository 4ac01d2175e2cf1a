import { expect, it } from 'vitest';
import { type Flag, flagsToShow, givenBy, switchesOf, textOfSwitches } from './flags';

const FLAGS: Flag[] = [
  { name: 'abm' },
  { name: 'aes', description: 'Encryption.', 'supported-on': ['a', 'b'] },
  { name: 'pcid', 'supported-on': ['a'] },
];

it('flags are switched on, off, or are as the model has them', () => {
  const switches = switchesOf('+aes;-pcid');
  switches.set('abm', '+').set('aes', '');
  expect(textOfSwitches(switches)).toBe('-pcid;+abm');
  expect(textOfSwitches(switchesOf(''))).toBe('');
});

it('the switched ones come first, the nameless many are asked for', () => {
  const names = (text: string, words = '', isAll = false) =>
    flagsToShow(FLAGS, switchesOf(text), words, isAll).map(({ name }) => name);
  expect(names('')).toEqual(['aes']);
  expect(names('-pcid;+own')).toEqual(['own', 'pcid', 'aes']);
  expect(names('-pcid', '', true)).toEqual(['pcid', 'aes', 'abm']);
  expect(names('', 'ENCR')).toEqual(['aes']);
  expect(names('', 'b')).toEqual(['abm']);
});

it('who can give a flag is said', () => {
  const texts = { everywhere: 'all', nowhere: 'none' };
  expect(FLAGS.map((flag) => givenBy(flag, ['a', 'b'], texts))).toEqual(['none', 'all', 'a']);
});
