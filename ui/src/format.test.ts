import { describe, expect, it } from 'vitest';
import { bitRate, bytes, duration, moment, percent, plain, short, uptime } from './format';

describe('numbers', () => {
  it('have two significant digits', () => {
    expect([0, 0.123, 6.14, 26.2, 128].map(short)).toEqual(['0', '0.12', '6.1', '26', '128']);
  });
  it('have units', () => {
    expect(bytes(134217728)).toBe('128 MiB');
    expect(bytes(512)).toBe('512 B');
    expect(bitRate(12_000_000)).toBe('96 Mb/s');
    expect(percent(0.473)).toBe('47 %');
  });
});

describe('times', () => {
  it('are as short as their place', () => {
    expect([4, 65, 7300, 90000].map(uptime)).toEqual(['4 s', '1 min', '2 h', '1 d']);
    expect(duration(64)).toBe('1 min 04 s');
    expect(duration(90061)).toBe('1 d 1 h');
  });
  it('name the day of what is older', () => {
    const now = new Date(2026, 10, 28, 12).getTime();
    expect(moment(now / 1000, now)).toBe('12:00:00');
    expect(moment(now / 1000 - 86400, now)).toBe('27 Nov, 12:00');
  });
});

describe('text from outside', () => {
  it('shows what is invisible', () => {
    expect(plain('a\u202egpj.exe')).toBe('a⟨202E⟩gpj.exe');
    expect(plain('\u001b[31mred')).toBe('⟨001B⟩[31mred');
    expect(plain('tab\tand\nline')).toBe('tab\tand\nline');
  });
});
