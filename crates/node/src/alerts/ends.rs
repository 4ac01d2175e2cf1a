//! How guests end, by what their QEMU said before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{UnixTime, VmId};

/// After a day it is known.
const FORGOTTEN_S: i64 = 24 * 3600;

#[derive(Debug, Default)]
struct State {
    /// Guests whose events are heard, and that have not said that they shut down.
    listened: BTreeSet<VmId>,
    /// When their QEMU ended by itself.
    died: BTreeMap<VmId, UnixTime>,
}

/// How guests have ended, by what their QEMU said before.
#[derive(Debug, Default)]
pub struct Ends(Mutex<State>);

impl Ends {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A guest runs, and its QEMU would say why it ends.
    pub(crate) fn listening(&self, vmid: VmId) {
        let mut state = self.state();
        state.listened.insert(vmid);
        state.died.remove(&vmid);
    }

    /// A guest's QEMU says why it ends.
    pub(crate) fn shuts_down(&self, vmid: VmId) {
        self.state().listened.remove(&vmid);
    }

    /// A guest has ended, and no task has ended it.
    pub(crate) fn ended(&self, vmid: VmId, now: UnixTime) {
        let mut state = self.state();
        if state.listened.remove(&vmid) {
            state.died.insert(vmid, now);
        }
    }

    /// Guests that ended by themselves, as far as that is not over.
    pub(super) fn died(
        &self,
        now: UnixTime,
        is_here: impl Fn(VmId) -> bool,
    ) -> Vec<(VmId, UnixTime)> {
        let mut state = self.state();
        let is_recent = |at: UnixTime| now - at < FORGOTTEN_S;
        state
            .died
            .retain(|vmid, at| is_recent(*at) && is_here(*vmid));
        state.died.iter().map(|(vmid, at)| (*vmid, *at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_without_a_word_is_a_death() {
        let ends = Ends::default();
        let vmid = VmId::new(100).unwrap();
        let died = |now| ends.died(now, |_| true);
        // Nothing is known of a guest that an earlier agent has listened to.
        ends.ended(vmid, 1);
        assert_eq!(died(1), []);
        ends.listening(vmid);
        ends.shuts_down(vmid);
        ends.ended(vmid, 2);
        assert_eq!(died(2), []);
        ends.listening(vmid);
        ends.ended(vmid, 3);
        assert_eq!(died(3), [(vmid, 3)]);
        ends.listening(vmid);
        assert_eq!(died(4), []);
        ends.ended(vmid, 5);
        assert_eq!(ends.died(5, |_| false), []);
        ends.listening(vmid);
        ends.ended(vmid, 6);
        assert_eq!(died(6 + FORGOTTEN_S), []);
    }
}
