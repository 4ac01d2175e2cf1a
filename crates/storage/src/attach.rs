//! The attachers of each volume, so that the storage can release it after the last one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use model::VmId;

/// What a volume is attached for.
///
/// A live migration has two attachers of one volume for a moment, on two nodes. A storage that enforces
/// who writes needs a mode for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachMode {
    /// To be written to, by this attacher only.
    Exclusive,
    /// To be read, by any number.
    ReadOnly,
}

impl AttachMode {
    pub fn is_read_only(self) -> bool {
        self == Self::ReadOnly
    }
}

/// Who attaches a volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attacher {
    /// A guest that runs. Its epoch is raised with each change of its owner: what it attached in an
    /// earlier one counts no more.
    Guest { vmid: VmId, epoch: u64 },
    /// A task, by its UPID.
    Task(String),
}

/// The attachments that this agent has made. Those of an agent that died are not here: there the
/// kernel's own count of openers decides.
#[derive(Debug, Default)]
pub(crate) struct Attachments(Mutex<BTreeMap<String, BTreeSet<Attacher>>>);

impl Attachments {
    /// Returns whether it was not attached by this one yet.
    pub(crate) fn add(&self, volume: &str, by: &Attacher) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_volume = all.entry(volume.to_owned()).or_default();
        of_volume.retain(|other| !is_earlier(other, by));
        of_volume.insert(by.clone())
    }

    /// Whether any volume is attached that has such a name.
    pub(crate) fn any(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().any(|volume| is_meant(volume))
    }

    /// Returns whether no other attacher is left.
    pub(crate) fn remove(&self, volume: &str, by: &Attacher) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_volume) = all.get_mut(volume) else {
            return true;
        };
        of_volume.retain(|other| other != by && !is_earlier(other, by));
        let is_last = of_volume.is_empty();
        if is_last {
            all.remove(volume);
        }
        is_last
    }
}

/// Whether this is the same guest in an earlier epoch.
fn is_earlier(other: &Attacher, than: &Attacher) -> bool {
    match (other, than) {
        (
            Attacher::Guest { vmid, epoch },
            Attacher::Guest {
                vmid: same,
                epoch: later,
            },
        ) => vmid == same && epoch < later,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(vmid: u32, epoch: u64) -> Attacher {
        let vmid = VmId::new(vmid).unwrap();
        Attacher::Guest { vmid, epoch }
    }

    #[test]
    fn the_last_attacher_is_recognized() {
        let attachments = Attachments::default();
        let task = Attacher::Task("UPID:n:1".to_owned());
        attachments.add("disk", &guest(100, 1));
        attachments.add("disk", &guest(100, 1));
        attachments.add("disk", &task);
        assert!(!attachments.remove("disk", &task));
        assert!(attachments.remove("disk", &guest(100, 1)));
        assert!(
            attachments.remove("disk", &guest(100, 1)),
            "may be repeated"
        );
    }

    #[test]
    fn a_later_epoch_takes_the_place_of_an_earlier_one() {
        let attachments = Attachments::default();
        attachments.add("disk", &guest(100, 1));
        attachments.add("disk", &guest(101, 1));
        attachments.add("disk", &guest(100, 2));
        assert!(!attachments.remove("disk", &guest(101, 1)));
        assert!(attachments.remove("disk", &guest(100, 2)));
    }
}
