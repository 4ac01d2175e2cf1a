//! The records of this node's guests, as far as their history needs them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use ::history::Origin;
use model::{GuestKind, GuestRecord, VmId};
use proto::GuestFigures;

/// A guest of this node, in figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Known {
    pub(super) kind: GuestKind,
    pub(super) origin: Origin,
    pub(super) cpus: u32,
    pub(super) memory: u64,
    pub(super) disk: u64,
}

impl Known {
    pub(super) fn of(guest: &GuestRecord) -> Self {
        let figures = GuestFigures::of(guest);
        Self {
            kind: guest.kind,
            origin: Origin {
                created: guest.created,
                epoch: guest.epoch,
            },
            cpus: figures.cpus,
            memory: figures.memory,
            disk: figures.disk,
        }
    }
}

pub(super) type Present = BTreeMap<VmId, Known>;

/// The guests of this node.
#[derive(Default)]
pub struct Guests(RwLock<Arc<Present>>);

impl Guests {
    /// What kind of guest it is, if it is on this node.
    pub(crate) fn kind(&self, vmid: VmId) -> Option<GuestKind> {
        self.all().get(&vmid).map(|known| known.kind)
    }

    pub(super) fn all(&self) -> Arc<Present> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, change: impl FnOnce(&mut Present)) {
        let mut present = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut present));
    }
}
