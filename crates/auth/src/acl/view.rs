//! The rights of one identity.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use model::{PrivilegeSet, UnixTime};
use proto::Identity;

use super::Access;
use super::path::ancestors;
use crate::keys::{self, Subject};
use crate::records::{AclEntry, SubjectKind};
use crate::roles::NO_ACCESS;

/// Paths that `GET /access/permissions` always includes.
const TOP: [&str; 8] = [
    "/",
    "/access",
    "/access/groups",
    "/nodes",
    "/pool",
    "/sdn",
    "/storage",
    "/vms",
];

/// For each area of a web interface, the privileges (by prefix) that concern it.
const AREAS: [(&str, &[&str]); 7] = [
    ("access", &["User.", "Group.", "Permissions.Modify"]),
    ("dc", &["Sys.Audit", "Sys.Modify", "SDN."]),
    ("mapping", &["Mapping.", "Permissions.Modify"]),
    ("nodes", &["Sys.", "Permissions.Modify"]),
    ("sdn", &["SDN.", "Permissions.Modify"]),
    ("storage", &["Datastore.", "Permissions.Modify"]),
    ("vms", &["VM.", "Permissions.Modify"]),
];

/// The privileges that a set of roles grants.
#[derive(Debug, Clone, Copy, Default)]
struct Granted {
    /// All privileges granted on the path.
    here: PrivilegeSet,
    /// Those that propagate to paths below.
    below: PrivilegeSet,
    no_access: bool,
}

impl Granted {
    fn add(&mut self, access: &Access, entry: &AclEntry, propagate: bool) {
        if entry.role == NO_ACCESS {
            self.no_access = true;
            return;
        }
        // A deleted role grants nothing, but its entry still overrides inherited ones.
        let privileges = access.role(&entry.role).unwrap_or_default();
        self.here = self.here.union(privileges);
        if propagate {
            self.below = self.below.union(privileges);
        }
    }

    fn effective(self) -> Self {
        if self.no_access {
            Self {
                no_access: true,
                ..Self::default()
            }
        } else {
            self
        }
    }
}

/// The place that rights are queried for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'p> {
    At(&'p str),
    /// Directly below a path, without entries of its own and in no pool.
    Below(&'p str),
}

impl<'p> Place<'p> {
    fn path(self) -> &'p str {
        match self {
            Self::At(path) | Self::Below(path) => path,
        }
    }
}

/// The entries of one subject at one node: for the node itself, and for everything below. None if
/// there are none; then inherited rights stay.
#[derive(Debug, Default)]
struct Node {
    leaf: Option<Granted>,
    inherited: Option<Granted>,
}

/// The nodes with entries for one subject, by path.
#[derive(Debug, Default)]
struct Rights {
    nodes: HashMap<String, Node>,
}

impl Rights {
    fn new(access: &Access, applies: impl Fn(&AclEntry) -> Option<SubjectKind>) -> Self {
        let mut nodes = HashMap::new();
        for (path, record) in &access.acl {
            let mine: Vec<(SubjectKind, &AclEntry)> = record
                .data
                .entries
                .iter()
                .filter_map(|entry| applies(entry).map(|kind| (kind, entry)))
                .collect();
            if mine.is_empty() {
                continue;
            }
            let leaf = matched(access, &mine, false);
            let inherited = matched(access, &mine, true);
            nodes.insert(path.clone(), Node { leaf, inherited });
        }
        Self { nodes }
    }

    /// Walks from the root to the leaf; entries at a node replace what was inherited.
    fn on(&self, place: Place<'_>) -> Granted {
        let mut granted = Granted::default();
        for node_path in ancestors(place.path()) {
            let Some(node) = self.nodes.get(node_path) else {
                continue;
            };
            let said = match place {
                Place::At(path) if node_path == path => &node.leaf,
                _ => &node.inherited,
            };
            if let Some(said) = said {
                granted = *said;
            }
        }
        granted.effective()
    }
}

/// The entries at one node that apply: those of the user (or token), else those of the groups
/// together. Above the leaf only entries that propagate apply.
fn matched(access: &Access, mine: &[(SubjectKind, &AclEntry)], above: bool) -> Option<Granted> {
    [SubjectKind::Token, SubjectKind::User, SubjectKind::Group]
        .into_iter()
        .find_map(|kind| {
            let mut granted: Option<Granted> = None;
            for (_, entry) in mine.iter().filter(|(of, _)| *of == kind) {
                if entry.propagate || !above {
                    granted
                        .get_or_insert_default()
                        .add(access, entry, entry.propagate);
                }
            }
            granted
        })
}

/// `{"/vms/100": {"VM.Audit": true}}`: for each path its privileges, and whether each propagates.
pub type Permissions = BTreeMap<String, BTreeMap<&'static str, bool>>;

/// One identity's rights in one snapshot. Building it scans the whole access control list; a query
/// then costs a few look-ups. Build one per list, not one per row.
#[derive(Debug)]
pub struct View<'a> {
    access: &'a Access,
    who: Identity,
    everything: bool,
    /// None: the user or token does not exist or is not active.
    own: Option<Rights>,
    /// The owner's rights, for a token with rights of its own.
    limit: Option<Rights>,
    owner_is_root: bool,
    /// Paths with unreadable entries. What those would revoke is unknown, so nothing is granted
    /// there and below.
    closed: HashSet<String>,
}

impl<'a> View<'a> {
    pub(super) fn new(access: &'a Access, who: &Identity, now: UnixTime) -> Self {
        let token = who
            .token
            .as_ref()
            .map(|t| (t, access.token(&who.user, &t.name)));
        let separated = match &token {
            None => false,
            Some((_, record)) => record.is_none_or(|record| record.privsep),
        };
        // root@pam itself is never locked out here: on the unix socket the kernel proves who it is.
        let root_itself = who.user.is_root() && who.token.is_none();
        let active = root_itself || access.is_active(who, now);
        let own = active.then(|| match (&who.token, separated) {
            (Some(token), true) => {
                let id = format!("{}!{}", who.user, token.name);
                Rights::new(access, |entry| {
                    (entry.kind == SubjectKind::Token && entry.id == id)
                        .then_some(SubjectKind::Token)
                })
            }
            _ => user_rights(access, who),
        });
        let limit = (active && separated).then(|| user_rights(access, who));
        let closed = access
            .opaque
            .iter()
            .filter_map(|key| match keys::subject(key) {
                Some(Subject::Acl(path)) => Some(path),
                _ => None,
            });
        Self {
            access,
            who: who.clone(),
            everything: who.user.is_root() && !separated && active,
            own,
            limit,
            owner_is_root: who.user.is_root(),
            closed: closed.collect(),
        }
    }

    pub fn identity(&self) -> &Identity {
        &self.who
    }

    pub fn access(&self) -> &'a Access {
        self.access
    }

    /// `root@pam`, or one of its tokens with full rights: passes every check.
    pub fn is_root(&self) -> bool {
        self.everything
    }

    /// The privileges on a path (`/vms/100`, normalized).
    pub fn privileges(&self, path: &str) -> PrivilegeSet {
        self.granted(Place::At(path)).here
    }

    pub fn has(&self, path: &str, privilege: model::Privilege) -> bool {
        self.privileges(path).contains(privilege)
    }

    pub fn has_any(&self, path: &str, privileges: &[model::Privilege]) -> bool {
        let here = self.privileges(path);
        privileges.iter().any(|privilege| here.contains(*privilege))
    }

    /// Whether this identity has a privilege on objects directly below a path without entries of
    /// their own.
    pub(super) fn has_below(&self, path: &str, privilege: model::Privilege) -> bool {
        self.granted(Place::Below(path)).here.contains(privilege)
    }

    /// Whether membership in a pool changes anything for this identity.
    pub(super) fn is_pool_relevant(&self, pool: &model::PoolId) -> bool {
        let path = format!("/pool/{pool}");
        let rights = self.own.iter().chain(&self.limit);
        rights
            .map(|rights| rights.on(Place::At(&path)))
            .any(|granted| granted.no_access || granted.here != PrivilegeSet::default())
    }

    /// Paths with unreadable entries.
    pub(super) fn closed(&self) -> impl Iterator<Item = &str> {
        self.closed.iter().map(String::as_str)
    }

    fn granted(&self, place: Place<'_>) -> Granted {
        let all = || Granted {
            here: PrivilegeSet::all(),
            below: PrivilegeSet::all(),
            no_access: false,
        };
        if self.everything {
            return all();
        }
        let Some(own) = &self.own else {
            return Granted::default();
        };
        if !self.closed.is_empty() && ancestors(place.path()).any(|node| self.closed.contains(node))
        {
            return Granted::default();
        }
        let granted = self.with_pools(own, place);
        let Some(limit) = &self.limit else {
            return granted;
        };
        let limit = if self.owner_is_root {
            all()
        } else {
            self.with_pools(limit, place)
        };
        Granted {
            here: granted.here.intersection(limit.here),
            below: granted.below.intersection(limit.below),
            no_access: granted.no_access,
        }
    }

    /// Adds the rights granted by the path's pools: for this path only, and not over NoAccess.
    fn with_pools(&self, rights: &Rights, place: Place<'_>) -> Granted {
        let mut granted = rights.on(place);
        if granted.no_access {
            return granted;
        }
        let pools = match place {
            Place::At(path) => self.pools_of(path),
            Place::Below(_) => &[],
        };
        for pool in pools {
            let pool = rights.on(Place::At(&format!("/pool/{pool}")));
            granted.no_access |= pool.no_access;
            granted.here = granted.here.union(pool.here);
        }
        granted.effective()
    }

    fn pools_of(&self, path: &str) -> &'a [model::PoolId] {
        if let Some(vmid) = path.strip_prefix("/vms/") {
            let pool = vmid
                .parse()
                .ok()
                .and_then(|vmid| self.access.pool_of_guest(vmid));
            pool.map_or(&[], std::slice::from_ref)
        } else if let Some(storage) = path.strip_prefix("/storage/") {
            self.access.pools_of_storage(storage)
        } else {
            &[]
        }
    }

    /// The privileges on one path, and whether each propagates.
    pub fn permissions_on(&self, path: &str) -> BTreeMap<&'static str, bool> {
        let granted = self.granted(Place::At(path));
        granted
            .here
            .iter()
            .map(|p| (p.as_str(), granted.below.contains(p)))
            .collect()
    }

    /// What a web interface offers to this identity: by area, the privileges held on one of its
    /// paths. Rights on pools count as rights on guests and storages.
    pub fn capabilities(&self) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
        let mut areas: BTreeMap<&'static str, BTreeSet<&'static str>> = AREAS
            .iter()
            .map(|(area, _)| (*area, BTreeSet::new()))
            .collect();
        let top = TOP.iter().copied().chain(["/mapping"]);
        for path in top.chain(self.access.acl.keys().map(String::as_str)) {
            let word = path.split('/').nth(1).unwrap_or_default();
            let is_meant = |area: &str| match word {
                "" => area == "dc",
                "pool" => matches!(area, "vms" | "storage"),
                word => area == word,
            };
            for name in self.privileges(path).iter().map(model::Privilege::as_str) {
                let wanted = AREAS.iter().filter(|(area, words)| {
                    is_meant(area) && words.iter().any(|word| name.starts_with(word))
                });
                for (area, _) in wanted {
                    areas.entry(*area).or_default().insert(name);
                }
            }
        }
        areas
    }

    /// All privileges, on every path that the snapshot contains.
    pub fn permissions(&self) -> Permissions {
        let mut paths: HashSet<String> = TOP.iter().map(|path| (*path).to_owned()).collect();
        paths.extend(self.access.acl.keys().cloned());
        for (id, pool) in self.access.pools() {
            paths.insert(format!("/pool/{id}"));
            paths.extend(pool.guests.iter().map(|vmid| format!("/vms/{vmid}")));
            paths.extend(
                pool.storages
                    .iter()
                    .map(|storage| format!("/storage/{storage}")),
            );
        }
        let with = |path: String| {
            let permissions = self.permissions_on(&path);
            (!permissions.is_empty()).then_some((path, permissions))
        };
        paths.into_iter().filter_map(with).collect()
    }
}

fn user_rights(access: &Access, who: &Identity) -> Rights {
    let groups: HashSet<&str> = access
        .groups_of(&who.user)
        .map(|group| group.as_str())
        .collect();
    Rights::new(access, |entry| {
        let mine = match entry.kind {
            SubjectKind::User => entry.id == who.user.as_str(),
            SubjectKind::Group => groups.contains(entry.id.as_str()),
            SubjectKind::Token => false,
        };
        mine.then_some(entry.kind)
    })
}
