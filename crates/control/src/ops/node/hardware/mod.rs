//! `/nodes/{node}/hardware`

mod pci_list;
mod pci_mdev_list;
mod usb_list;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("pci_list", pci_list::pci_list),
    pair!("pci_mdev_list", pci_mdev_list::pci_mdev_list),
    pair!("usb_list", usb_list::usb_list),
];
