import type { Text } from './fields';

/** Storages of one node that are given to the others. */
export const exports = {
  export: (storage: string) => `Give ${storage} to the other nodes`,
  unexport: (storage: string) => `Take the export ${storage} back`,
  submit: 'Export',
  takeBack: 'Take back',
  plan: 'Show the plan',
  planned: 'What will be made',
  new: (storage: string, content: string) => `storage ${storage} (nfs) for all nodes: ${content}`,
  dataset: (name: string) => `dataset ${name}`,
  clients: (list: string) => `open to ${list}`,
  text: 'A new folder or dataset in this storage is exported by NFS to the members of the cluster, which are followed as they come and leave. What is in the storage already stays its own.',
  takenBack:
    'The other nodes lose the storage. That is refused while a volume is in it; its folder or dataset is removed if no file is left.',
  fields: {
    as: { label: 'Name', hint: 'Of the new storage; NAME-shared where nothing is said.' },
    network: {
      label: 'Networks',
      hint: 'That may mount it besides the members, as 10.0.0.0/24. A node alone needs one.',
    },
  } as Record<string, Text>,
};
