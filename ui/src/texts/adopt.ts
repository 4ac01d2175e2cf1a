/** Texts of the take-over from Proxmox VE; they come with its page. */
import type { Text } from './fields';

const guests = (count: number) => (count === 1 ? '1 guest' : `${count} guests`);
const storages = (count: number) => (count === 1 ? '1 storage' : `${count} storages`);

export const adopt = {
  source: 'Where it lies',
  intro:
    'Guests and storages of a Proxmox VE are taken over where they lie on the disks of this node: nothing is copied or renamed. Its own files are only read.',
  plan: 'Show plan',
  planOf: (count: number) => `Show plan of ${guests(count)}`,
  storages: 'Storages',
  guests: 'Guests',
  left: 'Files that stay as they are',
  storage: 'Storage',
  here: 'Here',
  type: 'Type',
  verdict: 'What happens',
  notes: 'Why, and notes',
  guest: 'Guest',
  kind: 'Kind',
  kinds: { qemu: 'VM', lxc: 'container' },
  template: (kind: string) => `${kind}, template`,
  pool: 'Pool',
  volumes: 'Volumes',
  snapshots: 'Snapshots',
  file: 'File',
  reason: 'Why',
  actions: { adopt: 'taken over', present: 'is here already', leave: 'stays' },
  notChosen: 'not chosen',
  choose: (vmid: number) => `Take over ${vmid}`,
  chooseAll: 'Choose all',
  chooseNone: 'Choose none',
  noStorages: 'The source defines no storage.',
  noGuests: 'The source has no guest of this node.',
  noLeft: 'None.',
  steps: {
    source: 'What was asked for, or the source, has changed. Show the plan again first.',
    choice: 'Other guests are chosen than the plan has. Show their plan first.',
    nothing: 'Nothing would be taken over.',
    take: '',
  },
  take: 'Take over',
  takes: (ofStorages: number, ofGuests: number) =>
    `${storages(ofStorages)} and ${guests(ofGuests)} are taken over. As long as none of them was started, the way back is open.`,
  task: (node: string) => `Take over from Proxmox VE on ${node}`,
  begun: 'The take-over has begun',
  begunText:
    'Storages and guests come one by one. What fails is in the log, stays, and can be taken over later.',
  log: 'Log',
  again: 'Another plan',
  changed: 'The source or this node has changed since the plan was made. Ask for it again.',
  fields: {
    source: {
      label: 'Source',
      hint: 'On this node: a copy of /etc/pve, or the database of an old disk, …/config.db.',
    },
    'source-node': {
      label: 'Node there',
      hint: 'Whose guests are meant; empty: the one of this node’s name, or the only one.',
    },
    storages: { label: 'Only storages', hint: 'Separated by commas; empty: all.' },
    'storage-map': {
      label: 'Other names',
      hint: 'OLD:NEW, separated by commas, for a storage whose name is taken here.',
    },
    drop: {
      label: 'Leave out',
      hint: 'Options of guests, separated by commas, that this version does not have.',
    },
  } as Record<string, Text>,
};
