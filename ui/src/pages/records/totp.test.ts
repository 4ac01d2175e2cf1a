import { expect, it } from 'vitest';
import { base32, newSecret, totpAddress } from './totp';

it('secrets are in base 32 (RFC 4648)', () => {
  const of = (text: string) => base32(new TextEncoder().encode(text));
  expect(['f', 'fo', 'foo', 'foob', 'fooba', 'foobar'].map(of)).toEqual([
    'MY',
    'MZXQ',
    'MZXW6',
    'MZXW6YQ',
    'MZXW6YTB',
    'MZXW6YTBOI',
  ]);
  expect(newSecret()).toMatch(/^[A-Z2-7]{32}$/);
});

it('an app reads the address', () => {
  expect(totpAddress('ABC', 'me@pve', 'Ostler')).toBe(
    'otpauth://totp/Ostler%3Ame%40pve?secret=ABC&issuer=Ostler&algorithm=SHA1&digits=6&period=30',
  );
});
