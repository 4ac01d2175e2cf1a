/** Texts of profiles; they come with their page. */
import type { Text } from './fields';

export const profiles = {
  name: 'Profile',
  cpus: 'vCPUs',
  memory: 'Memory',
  disk: 'Disk',
  from: 'From template',
  comment: 'Comment',
  add: 'Add profile',
  none: 'No profile yet',
  noneText: 'A profile has the options of virtual machines that are made again and again.',
  removes: 'Virtual machines that were made of it stay as they are.',
  ofTemplate: 'as template',
  unset: 'default',
  cores: (count: number) => (count === 1 ? '1 core' : `${count} cores`),
  sockets: (count: number) => (count === 1 ? '1 socket' : `${count} sockets`),
  noTemplate: 'None',
  gone: (vmid: string) => `${vmid}, which is not there`,
  badSize: 'A number of GiB, or with a unit: 512M, 40G, 2T.',
  create: {
    open: (profile: string) => `Create VM from ${profile}…`,
    title: (profile: string) => `Create VM from ${profile}`,
    submit: 'Create',
    node: 'Node',
    task: (vmid: number, name: string, profile: string) =>
      `Create ${[vmid, name].filter(Boolean).join(' ')} from ${profile}`,
    asProfile: (value: string) =>
      value ? `Empty: ${value}, as the profile.` : 'Empty: as the profile.',
  },
  fields: {
    profile: { label: 'Profile', hint: 'Begins with a letter; letters, digits, _ and -.' },
    comment: { label: 'Comment' },
    from: { label: 'Template', hint: 'Of which each virtual machine is a clone.' },
    full: { label: 'Full clone', hint: 'Off: linked, made at once; the template must stay.' },
    storage: { label: 'Storage', hint: 'Of the copies; empty: the template’s.' },
    scsi0: { label: 'Hard disk', hint: 'STORAGE:GiB makes a new one.' },
    'disk-size': {
      label: 'Size of disk',
      hint: 'At least, in GiB or with a unit; empty: as the template.',
    },
    sockets: { label: 'Sockets', hint: 'Some systems are licensed by them.' },
    cores: { label: 'Cores', hint: 'Of each socket.' },
    memory: { label: 'Memory', unit: 'MiB', hint: 'What each has at most.' },
    scsihw: { label: 'SCSI controller', hint: 'Empty: as the template.' },
    ipconfig0: { label: 'Address', hint: 'ip=dhcp, or ip=ADDRESS/BITS,gw=ADDRESS.' },
  } as Record<string, Text>,
  createFields: {
    vmid: { label: 'ID', hint: 'Empty: the next free one. Several get free ones.' },
    name: { label: 'Name', hint: 'Of several each gets its number: NAME-1, NAME-2.' },
    count: { label: 'How many' },
    pool: { label: 'Pool' },
    start: { label: 'Start', hint: 'As soon as it is there.' },
  } as Record<string, Text>,
};
