//! The machine itself: what it has, how it is, and what is fetched and installed for it.

pub mod certificates;
pub mod disk_users;
pub(crate) mod disk_writes;
pub mod disks;
pub mod facts;
pub mod fetch;
pub(crate) mod huge_pages;
pub mod interfaces;
pub mod inventory;
pub(crate) mod mount_units;
pub mod packages;
pub mod pci;
pub mod pools;
pub(crate) mod registry;
pub(crate) mod sample;
pub mod scan;
pub mod services;
pub mod shell;
pub(crate) mod status;
pub mod time_zone;
pub mod usb;
pub(crate) mod vfio;
