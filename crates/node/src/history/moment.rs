//! What one measurement gives to the history.

use proto::status::{GuestUsage, NodeUsage, StorageUsage};
use sys::Link;

/// What was measured at one moment.
pub(crate) struct Moment<'a> {
    pub(crate) node: &'a NodeUsage,
    pub(crate) storages: &'a [StorageUsage],
    /// Running guests, by number.
    pub(crate) guests: &'a [GuestUsage],
    pub(crate) links: &'a [Link],
}
