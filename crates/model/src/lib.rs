//! The vocabulary of Ostler: ids, errors, records, property strings, units, and the types that
//! drivers exchange.
//!
//! ```text
//!   every other crate
//!          │ uses
//!        model   VmId · NodeName · Upid · VolumeId · ErrorKind · Record · PropertySchema
//!                BlockSpec (storage → guest) · PortSpec (network → guest) · Clock
//! ```
//!
//! **Invariant:** this crate does no I/O and never waits. `Clock::sleep` is only an interface,
//! implemented elsewhere.
//!
//! It is not a place for helpers: what only one crate needs is in that crate.

mod block;
pub mod calendar;
mod clock;
mod error;
mod guest;
mod id;
pub mod lxc;
mod mapping;
mod port;
mod pressure;
mod privilege;
pub mod qemu;
mod record;
pub mod retention;
pub mod schema;
mod storage_map;
pub mod text;
mod units;
mod upid;

pub use block::{BlockFormat, BlockSource, BlockSpec, IscsiSource, RbdSource, Remote};
pub use clock::{Clock, Sleep, UnixTime, with_timeout};
pub use error::{Error, ErrorKind, FieldErrors};
pub use guest::{
    Busy, GuestConfig, GuestKind, GuestRecord, PendingChange, SavedMemory, Snapshot, SnapshotState,
};
pub use id::{
    GroupId, IdError, NodeName, PoolId, RealmId, RoleId, StorageId, TokenName, UserId, VmId,
    VolumeId,
};
pub use mapping::{DIR_MAP, MappingKind, PCI_MAP, USB_MAP};
pub use port::{PortSpec, Vlans};
pub use pressure::{Pressure, Stall};
pub use privilege::{PRIVILEGES, Privilege, PrivilegeSet};
pub use record::{Record, RecordError};
pub use storage_map::StorageMap;
pub use units::{ByteSize, SizeError};
pub use upid::{Upid, UpidError};
