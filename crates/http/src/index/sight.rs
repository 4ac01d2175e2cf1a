//! What a caller may see in lists.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use auth::{Access, Allowed, View};
use model::{PoolId, Privilege, TokenName, UnixTime, UserId};
use proto::Identity;
use proto::alerts::Subject;

/// The limit of cached callers; all are dropped when it is exceeded.
const KEPT: usize = 1024;

/// What a caller may see. Lists depend on nothing else of the caller, so callers with equal sights
/// share them.
#[derive(Debug)]
pub(super) struct Sight {
    /// Different sights have different numbers.
    pub(super) number: u64,
    pub(super) guests: Allowed<u32>,
    pub(super) storages: Allowed<String>,
    /// Nodes whose usage is shown. Their names and states are visible to every caller.
    pub(super) nodes: Allowed<String>,
    pub(super) pools: Vec<PoolId>,
    /// Storages whose alerts are shown because the caller may fill them.
    space: Allowed<String>,
    /// Alerts about the whole cluster are shown.
    cluster: bool,
}

impl Sight {
    fn new(view: &View<'_>, number: u64) -> Self {
        let pools = view.access().pools().map(|(id, _)| id);
        let may_see = |id: &&PoolId| view.has(&format!("/pool/{id}"), Privilege::PoolAudit);
        Self {
            number,
            guests: view.guests_with(Privilege::VmAudit),
            storages: view.storages_with(Privilege::DatastoreAudit),
            nodes: view.nodes_with(Privilege::SysAudit),
            pools: pools.filter(may_see).cloned().collect(),
            space: view.storages_with(Privilege::DatastoreAllocateSpace),
            cluster: view.has("/", Privilege::SysAudit),
        }
    }

    /// Whether the alerts of an object are shown.
    pub(super) fn has_alerts_of(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Cluster => self.cluster,
            Subject::Node(name) => self.nodes.includes(name.as_str()),
            Subject::Guest(_, vmid) => self.guests.includes(&vmid.get()),
            Subject::Storage { storage, .. } => {
                let is_in = |those: &Allowed<String>| those.includes(storage.as_str());
                is_in(&self.storages) || is_in(&self.space)
            }
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let Self {
            number: _,
            guests,
            storages,
            nodes,
            pools,
            space,
            cluster,
        } = self;
        (guests, storages, nodes) == (&other.guests, &other.storages, &other.nodes)
            && (pools, space, cluster) == (&other.pools, &other.space, &other.cluster)
    }
}

/// Rights at one generation.
#[derive(Debug, Clone, Default)]
pub(super) struct Rights {
    pub(super) access: Arc<Access>,
    /// Changes with every change of users, tokens, pools and rights.
    pub(super) generation: u64,
}

type Caller = (UserId, Option<TokenName>);

struct Known {
    sight: Arc<Sight>,
    generation: u64,
    /// When the caller's account or token expires.
    until: UnixTime,
}

/// The last sight of each caller.
#[derive(Default)]
pub(super) struct Sights {
    known: Mutex<(HashMap<Caller, Known>, u64)>,
}

impl Sights {
    /// The sight of a caller with these rights.
    pub(super) fn of(&self, who: &Identity, rights: &Rights, now: UnixTime) -> Arc<Sight> {
        let caller = (who.user.clone(), who.token.as_ref().map(|t| t.name.clone()));
        let mut guard = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, numbers) = &mut *guard;
        if let Some(known) = known.get(&caller)
            && known.generation == rights.generation
            && now < known.until
        {
            return Arc::clone(&known.sight);
        }
        *numbers += 1;
        let view = rights.access.view(who, now);
        let sight = Sight::new(&view, *numbers);
        // An equal sight, of this caller before or of another, is reused: lists are shared by it.
        let before = known.values().map(|known| &known.sight);
        let shared = before.into_iter().find(|before| before.is_same(&sight));
        let sight = shared.map_or_else(|| Arc::new(sight), Arc::clone);
        if known.len() >= KEPT && !known.contains_key(&caller) {
            known.clear();
        }
        let entry = Known {
            sight: Arc::clone(&sight),
            generation: rights.generation,
            until: rights.access.expiry(who),
        };
        known.insert(caller, entry);
        sight
    }
}
