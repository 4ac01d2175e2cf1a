/** Numbers and times as people read them: units, two significant digits. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const RATES = ['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s'];
const BYTE_RATES = ['B/s', 'kB/s', 'MB/s', 'GB/s'];

/** Two significant digits below 10, whole numbers above. */
export function short(value: number): string {
  if (value === 0) return '0';
  if (value < 1) return value.toFixed(2);
  if (value < 10) return String(Number(value.toFixed(1)));
  return value.toFixed(0);
}

function scaled(value: number, step: number, units: string[]): string {
  let at = 0;
  let rest = value;
  while (rest >= step && at < units.length - 1) {
    rest /= step;
    at += 1;
  }
  return `${at === 0 ? rest.toFixed(0) : short(rest)} ${units[at]}`;
}

export const bytes = (value: number) => scaled(value, 1024, UNITS);
/** Bytes per second, shown as bits as networks are. */
export const bitRate = (bytesPerSecond: number) => scaled(bytesPerSecond * 8, 1000, RATES);
export const byteRate = (bytesPerSecond: number) => scaled(bytesPerSecond, 1000, BYTE_RATES);
export const gib = (value: number) => short(value / 2 ** 30);
export const percent = (part: number) => `${short(part * 100)} %`;

/** `41 d`, `5 h`, `3 min`: one unit. */
export function uptime(seconds: number): string {
  if (seconds >= 86400) return `${Math.floor(seconds / 86400)} d`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h`;
  if (seconds >= 60) return `${Math.floor(seconds / 60)} min`;
  return `${seconds} s`;
}

/** `1 min 04 s`: two units. */
export function duration(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds >= 86400) {
    return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
  }
  if (seconds >= 3600) {
    return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
  }
  if (seconds >= 60) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${seconds} s`;
}

const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const day = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short' });
const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** The time of today, the day of what is older; seconds since 1970. */
export function moment(seconds: number, now = Date.now()): string {
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday ? clock.format(date) : `${day.format(date)}, ${clock.format(date).slice(0, 5)}`;
}

export const dateTime = (seconds: number) => full.format(new Date(seconds * 1000));

// Marks that change the direction of text, and control characters: they show as their code.
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** Text from outside, with its invisible characters made visible. */
export function plain(text: string): string {
  return text.replace(
    HIDDEN,
    (mark) => `⟨${mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}
