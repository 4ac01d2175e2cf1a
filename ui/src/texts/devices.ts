/** Texts of mappings and of processor models. */
export const devices = {
  mapping: {
    name: 'Mapping',
    kinds: { pci: 'PCI devices', usb: 'USB devices', dir: 'Folders' },
    add: { pci: 'Add PCI mapping', usb: 'Add USB mapping', dir: 'Add folder mapping' },
    none: {
      pci: 'No PCI device is mapped',
      usb: 'No USB device is mapped',
      dir: 'No folder is mapped',
    },
    noneText:
      'A mapping is a name for a device or folder on each node. A guest that uses the name can start on every node that has one.',
    onNodes: 'On the nodes',
    there: 'there',
    unchecked: 'not checked',
    removes: 'Guests that use it keep its name, and do not start until there is one again.',
    addEntry: 'Add node',
    entry: (node: string, at: number) => `${node || 'Node'}, entry ${at + 1}`,
    removeEntry: (node: string, at: number) => `Remove ${node || 'node'}, entry ${at + 1}`,
    node: 'Node',
    device: 'Device',
    pick: 'Choose what the node has',
    noDevices: 'The node has none.',
    noList: (why: string) => `The node’s devices cannot be listed: ${why}. Type them below.`,
    path: { pci: 'Address', usb: 'Port', dir: 'Folder' },
    pathHint: {
      pci: 'Without .FUNCTION: all functions. Several are parted by ;.',
      usb: 'Empty: at any port.',
      dir: 'An absolute path.',
    },
    id: 'Vendor and device',
    subsystem: 'Subsystem',
    group: 'IOMMU group',
    inGroup: (group: number) => `IOMMU group ${group}`,
    mediates: 'mediated devices',
    needsEntry: 'A mapping needs a node at least.',
  },
};
