/** Texts of pools of ZFS: their state, their growth and repair. They come with their page. */
import type { Text } from './fields';

export const zpools = {
  noScan: 'none yet',
  scans: {
    running: (kind: string, at: string) => `${kind} runs since ${at}`,
    paused: (kind: string, at: string) => `${kind} paused since ${at}`,
    finished: (kind: string, at: string) => `${kind} ended ${at}`,
    canceled: (kind: string, at: string) => `${kind} canceled ${at}`,
  },
  left: (count: number) => (count === 1 ? '1 error is left' : `${count} errors are left`),
  noErrors: 'no errors',
  written: (size: string) => `${size} written anew`,
  progress: 'Progress',
  actionsOf: (device: string) => `Actions for ${device}`,
  start: 'Scrub',
  goOn: 'Continue scrub',
  pause: 'Pause scrub',
  stop: 'Stop scrub',
  clear: 'Clear errors',
  add: 'Add disks',
  attach: 'Attach disk',
  replace: 'Replace',
  detach: 'Detach',
  online: 'Bring online',
  grow: 'Use gained room',
  plan: 'Show plan',
  of: (what: string, pool: string) => `${what}: ${pool}`,
  texts: {
    start: 'All of the pool is read, and what is damaged is written anew. Guests run on.',
    pause: 'It can be continued from where it is.',
    stop: 'The next one begins at the beginning.',
    clear: 'The errors that its devices have counted so far are forgotten.',
    attach:
      'The device becomes a mirror of itself and the new disk, or its mirror gets another disk, which is filled while guests run.',
    replace:
      'The new disk takes the place of the device, which leaves the pool as soon as the new one is filled.',
    detach: 'The device leaves its mirror, which then has one copy less.',
    online: 'A device that was offline or gone is used again, and is filled with what it missed.',
    grow: 'The device has become larger: the pool uses the room that it has gained.',
  },
  stays: 'What is added stays: it cannot be taken out of the pool again here.',
  expand: 'Use the room that it has gained',
  newDisk: 'New disk',
  planned: 'What is added',
  size: (now: string, then: string) => `Size: ${now} now, ${then} then`,
  fields: {
    raidlevel: { label: 'Redundancy', hint: 'Empty: as the pool has.' },
    force: {
      label: 'Also unlike groups',
      hint: 'Of another redundancy, or of another number of disks, than the pool has.',
    },
  } as Record<string, Text>,
};
