//! Limits on simultaneous requests: of one caller, and of all callers to one resource that may
//! answer late or never.
//!
//! ```text
//!   a guest's agent, a storage   one of them by one caller │ one of them │ all by one caller │ all
//!   another node                 one caller │ all
//!   the rest                     one caller, or one address for operations open to the world
//! ```
//!
//! A request over a limit is refused at once, so that a caller who floods a resource, or waits for
//! one that hangs, does not block others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::schema::Values;
use model::{Error, ErrorKind, NodeName};
use proto::{Identity, Row, Verb};

/// Requests of one caller to one guest's agent, or to one storage.
const TO_ONE_OF_A_CALLER: usize = 16;
/// Requests of all callers to one of them. An agent answers them one by one.
const TO_ONE: usize = 32;
/// Requests of one caller to all agents, or to all storages.
const TO_ALL_OF_A_CALLER: usize = 64;
/// Requests of all callers to all of them.
const TO_ALL: usize = 256;
/// All other requests of one caller.
const CALLS: usize = 256;
/// Requests of one address that need no credential.
const OF_AN_ADDRESS: usize = 16;
/// Requests of one caller that are forwarded to one node.
const TO_A_NODE_OF_A_CALLER: usize = 256;
/// Requests of all callers that are forwarded to one node.
const TO_A_NODE: usize = 2048;

/// The path of requests to a guest's agent, below the guest's own.
const AGENT: &str = "/nodes/{node}/qemu/{vmid}/agent";
/// The path of requests to a storage.
const STORAGE: &str = "/nodes/{node}/storage/{storage}";

/// Resources that may answer late or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    Agents,
    Storages,
}

impl Lane {
    fn one(self, id: &str) -> String {
        match self {
            Self::Agents => format!("the guest agent of VM {id}"),
            Self::Storages => format!("storage '{id}'"),
        }
    }

    fn all(self) -> &'static str {
        match self {
            Self::Agents => "guest agents",
            Self::Storages => "storages",
        }
    }
}

/// What is counted: requests to one resource, named by its id, or to all of a lane, by one user or
/// by all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    ToOneOf(Lane, String, String),
    ToOne(Lane, String),
    ToAllOf(Lane, String),
    ToAll(Lane),
    ToNodeOf(NodeName, String),
    ToNode(NodeName),
    Caller(String),
    Address(String),
}

impl Counted {
    fn limit(&self) -> usize {
        match self {
            Self::ToOneOf(..) => TO_ONE_OF_A_CALLER,
            Self::ToOne(..) => TO_ONE,
            Self::ToAllOf(..) => TO_ALL_OF_A_CALLER,
            Self::ToAll(_) => TO_ALL,
            Self::ToNodeOf(..) => TO_A_NODE_OF_A_CALLER,
            Self::ToNode(_) => TO_A_NODE,
            Self::Caller(_) => CALLS,
            Self::Address(_) => OF_AN_ADDRESS,
        }
    }

    fn too_many(&self) -> Error {
        let what = match self {
            Self::ToOneOf(lane, id, user) => format!("{} by '{user}'", lane.one(id)),
            Self::ToOne(lane, id) => lane.one(id),
            Self::ToAllOf(lane, user) => format!("{} by '{user}'", lane.all()),
            Self::ToAll(lane) => lane.all().to_owned(),
            Self::ToNodeOf(node, user) => format!("node '{node}' by '{user}'"),
            Self::ToNode(node) => format!("node '{node}'"),
            Self::Caller(user) => format!("this node by '{user}'"),
            Self::Address(address) => format!("this node from {address}"),
        };
        let text = format!("too many requests to {what} are under way; try again later");
        Error::new(ErrorKind::TooMany, text)
    }
}

/// The number of requests in progress.
#[derive(Clone, Default)]
pub(crate) struct Lanes {
    counts: Arc<Mutex<HashMap<Counted, usize>>>,
}

/// A request in progress; drop it when the request has ended.
pub(crate) struct Permit {
    lanes: Lanes,
    counted: Vec<Counted>,
}

impl Lanes {
    /// Admits a request or refuses it.
    pub(crate) fn enter(
        &self,
        row: &Row,
        params: &Values,
        caller: Option<&Identity>,
        address: Option<&str>,
    ) -> Result<Permit, Error> {
        self.take(counted(row, params, caller, address))
    }

    /// The same for a request that is forwarded. Only the owner counts what it may wait for; here
    /// it waits for the owner.
    pub(crate) fn enter_forwarded(
        &self,
        node: &NodeName,
        caller: Option<&Identity>,
        address: Option<&str>,
    ) -> Result<Permit, Error> {
        let of_caller = match caller {
            Some(caller) => Counted::ToNodeOf(node.clone(), caller.user.to_string()),
            None => of_address(address),
        };
        self.take(vec![of_caller, Counted::ToNode(node.clone())])
    }

    fn take(&self, counted: Vec<Counted>) -> Result<Permit, Error> {
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

fn of_address(address: Option<&str>) -> Counted {
    Counted::Address(address.unwrap_or("this machine").to_owned())
}

fn counted(
    row: &Row,
    params: &Values,
    caller: Option<&Identity>,
    address: Option<&str>,
) -> Vec<Counted> {
    let Some(caller) = caller else {
        return vec![of_address(address)];
    };
    // All tokens of a user count as the user, who could create any number of them.
    let user = caller.user.to_string();
    let param = |name: &str| match params.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (lane, id) = if row.path.starts_with(AGENT) {
        (Lane::Agents, param("vmid"))
    } else if row.path.starts_with(STORAGE) {
        (Lane::Storages, param("storage"))
    } else {
        return vec![Counted::Caller(user)];
    };
    vec![
        Counted::ToOneOf(lane, id.clone(), user.clone()),
        Counted::ToOne(lane, id),
        Counted::ToAllOf(lane, user),
        Counted::ToAll(lane),
    ]
}

/// Whether work on a cancelled request may be dropped: if it changes nothing, or only waits for a
/// guest's agent. A freeze of the guest's file systems is never dropped.
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
    fn one_thing_takes_no_turn_from_another_and_one_caller_none_from_another() {
        for (op, one, all) in [
            ("agent_ping", "the guest agent of VM 1", "guest agents"),
            ("volume_list", "storage 's1'", "storages"),
        ] {
            let lanes = Lanes::default();
            let ask = |to: u32, user: &str| enter(&lanes, op, to, user);
            let refused = |to: u32, user: &str| {
                let error = ask(to, user).err().unwrap();
                assert_eq!(error.kind, ErrorKind::TooMany);
                error.message
            };
            let text =
                |what: &str| format!("too many requests to {what} are under way; try again later");
            let times = |count: usize, to: u32, user: &str| -> Vec<Permit> {
                (0..count).map(|_| ask(to, user).unwrap()).collect()
            };
            let mut held = times(TO_ONE_OF_A_CALLER, 1, "a@pve");
            assert_eq!(refused(1, "a@pve"), text(&format!("{one} by 'a@pve'")));
            held.extend(times(TO_ONE_OF_A_CALLER, 1, "b@pve"));
            assert_eq!(refused(1, "c@pve"), text(one));
            for to in 2..5 {
                held.extend(times(TO_ONE_OF_A_CALLER, to, "a@pve"));
            }
            assert_eq!(refused(9, "a@pve"), text(&format!("{all} by 'a@pve'")));
            drop(ask(9, "c@pve").unwrap());
            // Nor does it count against the limits outside its lane.
            drop(enter(&lanes, "qemu_config", 1, "a@pve").unwrap());
            held.clear();
            drop(ask(1, "a@pve").unwrap());
            assert!(lanes.counts().is_empty());
        }
    }

    #[test]
    fn what_changes_something_is_not_dropped() {
        let is_abandonable = |op: &str| is_abandonable(table::row(op).unwrap());
        assert!(is_abandonable("agent_ping") && is_abandonable("volume_list"));
        assert!(!is_abandonable("qemu_configure"));
        assert!(!is_abandonable("agent_fsfreeze_freeze"));
    }
}
