/** All texts of the pages, in one place. */

import { devices } from './devices';
import { graph } from './graph';
import { guest } from './guest';
import { jobs } from './jobs';
import { place } from './place';
import { shell } from './shell';

export const t = { ...shell, ...guest, ...place, ...graph, ...devices, ...jobs };

const TASKS: Record<string, string> = {
  qmstart: 'Start',
  qmstop: 'Stop',
  qmshutdown: 'Shut down',
  qmreboot: 'Reboot',
  qmreset: 'Reset',
  qmsuspend: 'Pause',
  qmresume: 'Resume',
  qmcreate: 'Create',
  qmdestroy: 'Destroy',
  qmclone: 'Clone',
  qmtemplate: 'Make template',
  qmmigrate: 'Migrate',
  qmsnapshot: 'Snapshot',
  qmdelsnapshot: 'Delete snapshot',
  qmrollback: 'Roll back',
  qmconfig: 'Change',
  qmmove: 'Move disk',
  qmresize: 'Resize disk',
  vzstart: 'Start',
  vzstop: 'Stop',
  vzshutdown: 'Shut down',
  vzreboot: 'Reboot',
  vzsuspend: 'Pause',
  vzresume: 'Resume',
  vzcreate: 'Create',
  vzdestroy: 'Destroy',
  vzclone: 'Clone',
  vztemplate: 'Make template',
  vzexec: 'Run a program',
  vzdf: 'Measure file systems',
  vzfsck: 'Check file system',
  vzfstrim: 'Trim file systems',
  vzmount: 'Mount on the node',
  vzunmount: 'Unmount from the node',
  adopt: 'Take over',
  snapshotjob: 'Snapshot job',
  snapshotprune: 'Delete snapshots',
  vzmigrate: 'Migrate',
  vzsnapshot: 'Snapshot',
  vzdelsnapshot: 'Delete snapshot',
  vzrollback: 'Roll back',
  move_volume: 'Move disk',
  resize: 'Resize disk',
  vncproxy: 'Console',
  vncshell: 'Shell',
  imgcopy: 'Copy image',
  imgdel: 'Delete image',
  imgexport: 'Export volume',
  imgimport: 'Import volume',
  prunebackups: 'Prune backups',
  download: 'Download',
  ociregistrypull: 'Pull image',
  zpooladd: 'Add disks',
  zpoolattach: 'Attach disk',
  zpoolreplace: 'Replace disk',
  zpooldetach: 'Detach disk',
  zpoolonline: 'Bring disk online',
  zpoolclear: 'Clear errors',
  zpoolscrub: 'Scrub',
  tierapply: 'Apply tiers',
  exportcreate: 'Export',
  exportdelete: 'Take export back',
  storageattach: 'Attach',
  storagedetach: 'Detach',
  startall: 'Start all',
  stopall: 'Shut down all',
  migrateall: 'Migrate all',
  clustervote: 'Votes of',
  clusterleave: 'Leave cluster',
  clusterremove: 'Remove member',
  clusterjoin: 'Join cluster',
  clustercreate: 'Make cluster',
};

/** The word for a task's type; its own name if there is none. */
export function taskWord(type: string): string {
  return TASKS[type] ?? type;
}
