//! How many requests may be under way at the same time: of one caller, and of all callers for one
//! thing that may answer late or never.
//!
//! ```text
//!   guest's agent   one guest │ one caller │ all guests together
//!   storage         one storage │ one caller │ all storages together
//!   the rest        one caller, or one address where the operation is open to the world
//! ```
//!
//! What is over a limit is refused at once, so that a caller who floods one thing, or waits for one
//! that hangs, takes no turn from others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::schema::Values;
use model::{Error, ErrorKind};
use proto::{Identity, Row, Verb};

/// Calls of one guest's agent, which answers one after the other.
const OF_A_GUEST: usize = 8;
/// Requests to one storage.
const OF_A_STORAGE: usize = 32;
/// Those of one caller to agents, or to storages.
const OF_A_CALLER: usize = 16;
/// Those of all callers to agents, or to storages.
const OF_A_LANE: usize = 128;
/// All others of one caller.
const CALLS: usize = 64;
/// Requests of one address that need no credential.
const OF_AN_ADDRESS: usize = 16;

/// The path of what goes to a guest's agent, below the guest's own.
const AGENT: &str = "/nodes/{node}/qemu/{vmid}/agent";
/// The path of what goes to a storage.
const STORAGE: &str = "/nodes/{node}/storage/{storage}";

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Guest(String),
    GuestsOf(String),
    Guests,
    Storage(String),
    StoragesOf(String),
    Storages,
    Caller(String),
    Address(String),
}

impl Counted {
    fn limit(&self) -> usize {
        match self {
            Self::Guest(_) => OF_A_GUEST,
            Self::Storage(_) => OF_A_STORAGE,
            Self::GuestsOf(_) | Self::StoragesOf(_) => OF_A_CALLER,
            Self::Guests | Self::Storages => OF_A_LANE,
            Self::Caller(_) => CALLS,
            Self::Address(_) => OF_AN_ADDRESS,
        }
    }

    fn too_many(&self) -> Error {
        let what = match self {
            Self::Guest(vmid) => format!("the guest agent of VM {vmid}"),
            Self::Guests => "guest agents".to_owned(),
            Self::GuestsOf(user) => format!("guest agents by '{user}'"),
            Self::Storage(id) => format!("storage '{id}'"),
            Self::Storages => "storages".to_owned(),
            Self::StoragesOf(user) => format!("storages by '{user}'"),
            Self::Caller(user) => format!("this node by '{user}'"),
            Self::Address(address) => format!("this node from {address}"),
        };
        let text = format!("too many requests to {what} are under way; try again later");
        Error::new(ErrorKind::TooMany, text)
    }
}

/// What is under way, counted.
#[derive(Clone, Default)]
pub(crate) struct Lanes {
    counts: Arc<Mutex<HashMap<Counted, usize>>>,
}

/// A request under way. Dropped when it has ended.
pub(crate) struct Permit {
    lanes: Lanes,
    counted: Vec<Counted>,
}

impl Lanes {
    /// Lets a request in, or refuses it.
    pub(crate) fn enter(
        &self,
        row: &Row,
        params: &Values,
        caller: Option<&Identity>,
        address: Option<&str>,
    ) -> Result<Permit, Error> {
        let counted = counted(row, params, caller, address);
        let mut counts = self.counts();
        let count = |what: &Counted| counts.get(what).copied().unwrap_or(0);
        if let Some(full) = counted.iter().find(|what| count(what) >= what.limit()) {
            return Err(full.too_many());
        }
        for what in &counted {
            *counts.entry(what.clone()).or_default() += 1;
        }
        drop(counts);
        Ok(Permit {
            lanes: self.clone(),
            counted,
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Counted, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.lanes.counts();
        for what in &self.counted {
            if let Some(count) = counts.get_mut(what) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(what);
                }
            }
        }
    }
}

fn counted(
    row: &Row,
    params: &Values,
    caller: Option<&Identity>,
    address: Option<&str>,
) -> Vec<Counted> {
    let Some(caller) = caller else {
        let address = address.unwrap_or("this machine").to_owned();
        return vec![Counted::Address(address)];
    };
    // All tokens of a user count as the user: more of them are made at will.
    let user = caller.user.to_string();
    let param = |name: &str| match params.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    if row.path.starts_with(AGENT) {
        let guest = Counted::Guest(param("vmid"));
        return vec![guest, Counted::GuestsOf(user), Counted::Guests];
    }
    if row.path.starts_with(STORAGE) {
        let storage = Counted::Storage(param("storage"));
        return vec![storage, Counted::StoragesOf(user), Counted::Storages];
    }
    vec![Counted::Caller(user)]
}

/// Whether the work on a request may be dropped where its answer is not waited for any more: it
/// changes nothing, or it only waits for a guest's agent. A guest that may be frozen is not left
/// to itself.
pub(crate) fn is_abandonable(row: &Row) -> bool {
    row.verb == Verb::Get || (row.path.starts_with(AGENT) && !row.path.contains("fsfreeze"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::table;
    use serde_json::json;

    fn enter(lanes: &Lanes, op: &str, vmid: u32, user: &str) -> Result<Permit, Error> {
        let serde_json::Value::Object(params) =
            json!({"vmid": vmid, "storage": format!("s{vmid}"), "node": "n"})
        else {
            unreachable!()
        };
        let caller = Identity {
            user: user.parse().unwrap(),
            ..Identity::root()
        };
        lanes.enter(table::row(op).unwrap(), &params, Some(&caller), None)
    }

    #[test]
    fn one_guest_takes_no_turn_from_another_and_one_caller_none_from_another() {
        let lanes = Lanes::default();
        let ping = |vmid, user: &str| enter(&lanes, "agent_ping", vmid, user);
        let mut held: Vec<Permit> = (0..OF_A_GUEST).map(|_| ping(1, "a@pve").unwrap()).collect();
        let refused = ping(1, "b@pve").err().unwrap();
        assert_eq!(refused.kind, ErrorKind::TooMany);
        assert_eq!(
            refused.message,
            "too many requests to the guest agent of VM 1 are under way; try again later"
        );
        held.extend((0..OF_A_GUEST).map(|_| ping(2, "a@pve").unwrap()));
        let refused = ping(3, "a@pve").err().unwrap().message;
        assert!(refused.contains("guest agents by 'a@pve'"), "{refused}");
        ping(3, "b@pve").unwrap();
        // Nor does it take any of what is not the agents'.
        enter(&lanes, "qemu_config", 1, "a@pve").unwrap();
        held.clear();
        ping(1, "a@pve").unwrap();
        assert!(lanes.counts().is_empty());
    }

    #[test]
    fn one_storage_takes_no_turn_from_another() {
        let lanes = Lanes::default();
        let list = |storage, user: &str| enter(&lanes, "volume_list", storage, user);
        let users = ["a@pve", "b@pve"];
        let held: Vec<Permit> = (0..OF_A_STORAGE)
            .map(|number| list(1, users[number % 2]).unwrap())
            .collect();
        assert!(list(1, "c@pve").is_err());
        list(2, "c@pve").unwrap();
        enter(&lanes, "node_status", 1, "a@pve").unwrap();
        drop(held);
        assert!(lanes.counts().is_empty());
    }

    #[test]
    fn what_changes_something_is_not_dropped() {
        let is_abandonable = |op: &str| is_abandonable(table::row(op).unwrap());
        assert!(is_abandonable("agent_ping") && is_abandonable("volume_list"));
        assert!(!is_abandonable("qemu_configure"));
        assert!(!is_abandonable("agent_fsfreeze_freeze"));
    }
}
