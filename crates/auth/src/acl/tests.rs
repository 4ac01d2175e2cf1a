//! What follows from the access control list, table by table.

use model::schema::Values;
use model::{PoolId, Privilege, PrivilegeSet, Record, TokenName, UnixTime, UserId};
use proptest::prelude::*;
use proto::{Check, Identity, Permission, TokenIdentity};
use serde_json::json;
use store::{Change, Changes, Entry, Key, Revision};

use super::Access;
use crate::keys;
use crate::records::{AclEntry, AclNode, Group, Pool, Role, SubjectKind, Token, User};

pub(crate) const NOW: UnixTime = 1_800_000_000;

/// A snapshot made by hand.
#[derive(Default)]
pub(crate) struct World {
    access: Access,
    acl: std::collections::BTreeMap<String, AclNode>,
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

impl World {
    fn write(mut self, key: Key, value: Vec<u8>) -> Self {
        let revision = Revision(self.access.revision().0 + 1);
        let entry = Entry {
            key,
            value,
            created: revision,
            modified: revision,
            lease: None,
        };
        self.access.apply(&Changes {
            revision,
            changes: vec![Change::Put(entry)],
        });
        self
    }

    pub(crate) fn user(self, name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
        self.user_as(
            name,
            User {
                groups,
                ..User::default()
            },
        )
    }

    fn user_as(self, name: &str, record: User) -> Self {
        self.write(
            keys::user(&user(name)),
            Record::new(record).encode().unwrap(),
        )
    }

    pub(crate) fn group(self, name: &str) -> Self {
        let record = Record::new(Group::default()).encode().unwrap();
        self.write(keys::group(&name.parse().unwrap()), record)
    }

    fn role(self, name: &str, privileges: &[Privilege]) -> Self {
        let privileges = privileges.iter().map(|p| p.as_str().to_owned()).collect();
        let record = Record::new(Role { privileges }).encode().unwrap();
        self.write(keys::role(&name.parse().unwrap()), record)
    }

    fn token(self, owner: &str, name: &str, privsep: bool) -> Self {
        let token = Token {
            comment: String::new(),
            expire: 0,
            privsep,
            generation: 0,
        };
        let key = keys::token(&user(owner), &TokenName::new(name).unwrap());
        self.write(key, Record::new(token).encode().unwrap())
    }

    pub(crate) fn pool(self, name: &str, guests: &[u32], storages: &[&str]) -> Self {
        let pool = Pool {
            comment: String::new(),
            guests: guests.iter().copied().collect(),
            storages: storages.iter().map(|s| (*s).to_owned()).collect(),
        };
        let id: PoolId = name.parse().unwrap();
        self.write(keys::pool(&id), Record::new(pool).encode().unwrap())
    }

    /// `who` is `user@realm`, `user@realm!token` or `@group`; a role that ends with `-` does not
    /// propagate.
    pub(crate) fn grant(mut self, path: &str, who: &str, role: &str) -> Self {
        let (kind, id) = match who {
            group if group.starts_with('@') => (SubjectKind::Group, &group[1..]),
            token if token.contains('!') => (SubjectKind::Token, token),
            user => (SubjectKind::User, user),
        };
        let (role, propagate) = role
            .strip_suffix('-')
            .map_or((role, true), |role| (role, false));
        let node = self.acl.entry(path.to_owned()).or_default();
        let (id, role) = (id.to_owned(), role.to_owned());
        node.entries.push(AclEntry {
            kind,
            id,
            role,
            propagate,
        });
        let record = Record::new(node.clone()).encode().unwrap();
        self.write(keys::acl(path), record)
    }

    pub(crate) fn access(self) -> Access {
        self.access
    }
}

/// `user@realm` or `user@realm!token`.
pub(crate) fn who(label: &str) -> Identity {
    let (name, token) = label
        .split_once('!')
        .map_or((label, None), |(u, t)| (u, Some(t)));
    let token = token.map(|token| TokenIdentity {
        name: token.parse().unwrap(),
        privilege_separation: true,
    });
    Identity {
        user: user(name),
        token,
        expires: UnixTime::MAX,
    }
}

fn text(access: &Access, label: &str, path: &str) -> String {
    crate::roles::join(access.privileges(&who(label), NOW, path))
}

const AUDIT: &str = "VM.Audit,VM.GuestAgent.Audit";

fn base() -> World {
    World::default()
        .group("ops")
        .group("dev")
        .user("jane@pve", &["ops", "dev"])
        .role("Audit", &[Privilege::VmAudit, Privilege::VmGuestAgentAudit])
        .role("Power", &[Privilege::VmPowerMgmt])
        .role("Console", &[Privilege::VmConsole])
}

// covers: S3.79
#[test]
fn rights_are_inherited_replaced_and_ended_as_the_list_says() {
    type Grants = &'static [(&'static str, &'static str, &'static str)];
    let cases: &[(&str, Grants, &str, &str)] = &[
        (
            "from the root down",
            &[("/", "jane@pve", "Audit")],
            "/vms/100",
            AUDIT,
        ),
        (
            "not upwards",
            &[("/vms/100", "jane@pve", "Audit")],
            "/vms",
            "",
        ),
        (
            "not beside",
            &[("/vms/100", "jane@pve", "Audit")],
            "/vms/1001",
            "",
        ),
        (
            "only here",
            &[("/vms", "jane@pve", "Audit-")],
            "/vms",
            AUDIT,
        ),
        (
            "not below without propagation",
            &[("/vms", "jane@pve", "Audit-")],
            "/vms/100",
            "",
        ),
        (
            "below replaces above",
            &[("/", "jane@pve", "Audit"), ("/vms", "jane@pve", "Power")],
            "/vms/100",
            "VM.PowerMgmt",
        ),
        (
            "what does not propagate replaces nothing below",
            &[("/", "jane@pve", "Audit"), ("/vms", "jane@pve", "Power-")],
            "/vms/100",
            AUDIT,
        ),
        (
            "but here it does",
            &[("/", "jane@pve", "Audit"), ("/vms", "jane@pve", "Power-")],
            "/vms",
            "VM.PowerMgmt",
        ),
        (
            "roles of one user add up",
            &[
                ("/vms", "jane@pve", "Power"),
                ("/vms", "jane@pve", "Console"),
            ],
            "/vms/100",
            "VM.Console,VM.PowerMgmt",
        ),
        (
            "groups add up",
            &[("/vms", "@ops", "Power"), ("/vms", "@dev", "Console")],
            "/vms/100",
            "VM.Console,VM.PowerMgmt",
        ),
        (
            "the user counts before the groups",
            &[("/vms", "@ops", "Power"), ("/vms", "jane@pve", "Console")],
            "/vms/100",
            "VM.Console",
        ),
        (
            "a group below counts before the user above",
            &[
                ("/vms/100", "@ops", "Power"),
                ("/vms", "jane@pve", "Console"),
            ],
            "/vms/100",
            "VM.PowerMgmt",
        ),
        (
            "a user's entry that ends here leaves the groups' below",
            &[("/vms", "@ops", "Power"), ("/vms", "jane@pve", "Console-")],
            "/vms/100",
            "VM.PowerMgmt",
        ),
        (
            "NoAccess takes away",
            &[
                ("/", "jane@pve", "Audit"),
                ("/vms/100", "jane@pve", "NoAccess"),
            ],
            "/vms/100",
            "",
        ),
        (
            "NoAccess wins among roles",
            &[("/vms", "@ops", "Power"), ("/vms", "@dev", "NoAccess")],
            "/vms/100",
            "",
        ),
        (
            "and is replaced like any other",
            &[
                ("/vms", "jane@pve", "NoAccess"),
                ("/vms/100", "jane@pve", "Power"),
            ],
            "/vms/100",
            "VM.PowerMgmt",
        ),
        (
            "strangers have nothing",
            &[("/", "joe@pve", "Audit")],
            "/vms/100",
            "",
        ),
        (
            "nor has a group of others",
            &[("/", "@sales", "Audit")],
            "/vms/100",
            "",
        ),
    ];
    for (case, grants, path, expected) in cases {
        let world = grants
            .iter()
            .fold(base(), |w, (path, who, role)| w.grant(path, who, role));
        assert_eq!(text(&world.access(), "jane@pve", path), *expected, "{case}");
    }
}

// covers: S3.79, S2.55
#[test]
fn a_pools_roles_are_added_to_its_members() {
    let world = base()
        .pool("p", &[100], &["fast"])
        .grant("/pool/p", "jane@pve", "Power");
    let access = world.grant("/vms", "jane@pve", "Console").access();
    assert_eq!(
        text(&access, "jane@pve", "/vms/100"),
        "VM.Console,VM.PowerMgmt"
    );
    assert_eq!(text(&access, "jane@pve", "/vms/101"), "VM.Console");
    assert_eq!(text(&access, "jane@pve", "/storage/fast"), "VM.PowerMgmt");
    assert_eq!(text(&access, "jane@pve", "/storage/slow"), "");
    let permissions = access.view(&who("jane@pve"), NOW).permissions();
    assert_eq!(
        permissions["/vms/100"]["VM.PowerMgmt"], false,
        "never below"
    );
    assert!(permissions["/vms"]["VM.Console"]);
}

#[test]
fn a_pool_does_not_override_no_access() {
    let world = base()
        .pool("p", &[100], &[])
        .grant("/pool/p", "jane@pve", "Power");
    let access = world.grant("/vms/100", "jane@pve", "NoAccess").access();
    assert_eq!(text(&access, "jane@pve", "/vms/100"), "");
}

#[test]
fn a_nested_pool_inherits_from_its_parent() {
    let world = base().pool("a", &[], &[]).pool("a/b", &[100], &[]);
    let access = world.grant("/pool/a", "jane@pve", "Power").access();
    assert_eq!(text(&access, "jane@pve", "/vms/100"), "VM.PowerMgmt");
}

// covers: S2.55, S4.30
#[test]
fn a_separated_token_has_its_own_rights_within_its_owners() {
    let world = base()
        .token("jane@pve", "ci", true)
        .token("jane@pve", "all", false)
        .pool("p", &[100], &[])
        .grant("/", "jane@pve", "Audit")
        .grant("/vms/100", "jane@pve!ci", "Audit")
        .grant("/vms/200", "jane@pve!ci", "Administrator")
        .grant("/vms/200", "jane@pve!all", "NoAccess");
    let access = world.access();
    assert_eq!(text(&access, "jane@pve!ci", "/vms/100"), AUDIT);
    assert_eq!(
        text(&access, "jane@pve!ci", "/vms/101"),
        "",
        "nothing was given there"
    );
    assert_eq!(
        text(&access, "jane@pve!ci", "/vms/200"),
        AUDIT,
        "never more than the owner"
    );
    assert_eq!(
        text(&access, "jane@pve!all", "/vms/101"),
        AUDIT,
        "as the owner"
    );
    assert_eq!(
        text(&access, "jane@pve!all", "/vms/200"),
        AUDIT,
        "its own entries do not count"
    );
    assert_eq!(
        text(&access, "jane@pve!gone", "/vms/100"),
        "",
        "no such token"
    );
}

#[test]
fn root_may_everything_and_its_separated_token_what_it_was_given() {
    let world = base()
        .token("root@pam", "t1", true)
        .token("root@pam", "t2", false);
    let access = world.grant("/vms/100", "root@pam!t1", "Power").access();
    assert_eq!(
        access.privileges(&Identity::root(), NOW, "/x"),
        PrivilegeSet::all()
    );
    assert_eq!(text(&access, "root@pam!t1", "/vms/100"), "VM.PowerMgmt");
    assert_eq!(text(&access, "root@pam!t1", "/vms/101"), "");
    assert_eq!(
        access.privileges(&who("root@pam!t2"), NOW, "/vms"),
        PrivilegeSet::all()
    );
    let permissions = access.view(&Identity::root(), NOW).permissions();
    for path in [
        "/",
        "/access",
        "/access/groups",
        "/nodes",
        "/pool",
        "/sdn",
        "/storage",
        "/vms",
    ] {
        assert_eq!(permissions[path].len(), 47, "{path}");
    }
}

#[test]
fn disabled_expired_and_deleted_users_have_nothing() {
    let disabled = User {
        enable: false,
        ..User::default()
    };
    let expired = User {
        expire: NOW,
        ..User::default()
    };
    let later = User {
        expire: NOW + 1,
        ..User::default()
    };
    let world = base()
        .user_as("disabled@pve", disabled)
        .user_as("expired@pve", expired)
        .user_as("later@pve", later)
        .token("expired@pve", "t1", false);
    let labels = [
        "disabled@pve",
        "expired@pve",
        "gone@pve",
        "later@pve",
        "expired@pve!t1",
    ];
    let access = labels
        .iter()
        .fold(world, |world, label| world.grant("/", label, "Audit"))
        .access();
    for label in ["disabled@pve", "expired@pve", "gone@pve", "expired@pve!t1"] {
        assert_eq!(text(&access, label, "/"), "", "{label}");
    }
    assert_eq!(text(&access, "later@pve", "/"), AUDIT);
}

#[test]
fn a_group_that_is_gone_and_a_role_that_is_gone_grant_nothing() {
    let world = World::default()
        .user("jane@pve", &["gone"])
        .grant("/", "@gone", "PVEAdmin");
    assert_eq!(text(&world.access(), "jane@pve", "/"), "");
    let world = base()
        .grant("/", "jane@pve", "Audit")
        .grant("/vms", "jane@pve", "NoSuchRole");
    assert_eq!(
        text(&world.access(), "jane@pve", "/vms/100"),
        "",
        "and replace what was"
    );
}

#[test]
fn entries_that_cannot_be_read_close_their_path() {
    let newer = br#"{"v":99,"data":{"entries":[]}}"#.to_vec();
    let world = base()
        .grant("/", "jane@pve", "Audit")
        .write(keys::acl("/vms"), newer);
    let access = world.access();
    assert_eq!(text(&access, "jane@pve", "/vms/100"), "");
    assert_eq!(text(&access, "jane@pve", "/storage"), AUDIT);
    assert_eq!(
        access.privileges(&Identity::root(), NOW, "/vms"),
        PrivilegeSet::all()
    );
}

fn params(value: serde_json::Value) -> Values {
    value.as_object().unwrap().clone()
}

fn denied(access: &Access, label: &str, check: Check, given: serde_json::Value) -> String {
    let permission = Permission::Check(check);
    match access.check(&permission, &who(label), &params(given), NOW) {
        Ok(()) => String::new(),
        Err(denied) => denied.to_string(),
    }
}

// covers: S3.79
#[test]
fn refusals_have_the_texts_that_were_recorded() {
    use Privilege as P;
    let access = base().grant("/vms/100", "jane@pve", "Audit").access();
    let cases: [(Check, serde_json::Value, &str); 9] = [
        (
            Check::On("/vms/{vmid}", &[P::VmAudit]),
            json!({"vmid": 100}),
            "",
        ),
        (
            Check::On("/vms/{vmid}", &[P::VmAudit, P::VmPowerMgmt, P::VmConsole]),
            json!({"vmid": 100}),
            "Permission check failed (/vms/100, VM.PowerMgmt)",
        ),
        (
            Check::AnyOn("/vms/{vmid}", &[P::VmConfigDisk, P::VmConfigCdrom]),
            json!({"vmid": 100}),
            "Permission check failed (/vms/100, VM.Config.Disk|VM.Config.CDROM)",
        ),
        (
            Check::On("/pool/{poolid}", &[P::PoolAllocate]),
            json!({"poolid": "pt"}),
            "Permission check failed (/pool/pt, Pool.Allocate)",
        ),
        (
            Check::UserRealm(P::RealmAllocateUser),
            json!({"userid": "x@pve"}),
            "Permission check failed (/access/realm/pve, Realm.AllocateUser)",
        ),
        (
            Check::UserGroups {
                privileges: &[P::UserModify, P::SysAudit],
                new_groups: false,
            },
            json!({"userid": "jane@pve"}),
            "Permission check failed (/access/groups, User.Modify|Sys.Audit)",
        ),
        (
            Check::SelfUser,
            json!({"userid": "joe@pve"}),
            "Permission check failed",
        ),
        (
            Check::ModifyAcl,
            json!({"path": "/vms/100"}),
            "Permission check failed (/vms/100, Permissions.Modify|VM.Allocate)",
        ),
        (
            Check::Given("pool", &Check::On("/pool/{pool}", &[P::VmAllocate])),
            json!({}),
            "Permission check failed",
        ),
    ];
    for (check, given, expected) in cases {
        assert_eq!(denied(&access, "jane@pve", check, given), expected);
        assert_eq!(denied(&access, "root@pam", check, json!({})), "");
    }
    let not_root = access.check(&Permission::Root, &who("jane@pve"), &Values::new(), NOW);
    assert_eq!(
        not_root.unwrap_err().to_string(),
        "Permission check failed (user != root@pam)"
    );
}

#[test]
fn a_parameter_cannot_lead_a_check_to_another_path() {
    let access = base().grant("/vms/100", "jane@pve", "Audit").access();
    let check = Check::On("/vms/{vmid}/x", &[Privilege::VmAudit]);
    let text = denied(&access, "jane@pve", check, json!({"vmid": "100/../200"}));
    assert_eq!(text, "Permission check failed (/vms/{vmid}/x)");
    let text = denied(&access, "jane@pve", check, json!({}));
    assert_eq!(text, "Permission check failed (/vms/{vmid}/x)");
}

#[test]
fn only_the_user_itself_is_itself_and_no_token_of_it() {
    let access = base().token("jane@pve", "ci", false).access();
    let me = || json!({"userid": "jane@pve"});
    assert_eq!(denied(&access, "jane@pve", Check::SelfUser, me()), "");
    assert_eq!(
        denied(&access, "jane@pve!ci", Check::SelfUser, me()),
        "Permission check failed"
    );
}

#[test]
fn who_manages_a_group_manages_its_members_and_no_others() {
    let access = base()
        .user("boss@pve", &[])
        .user("joe@pve", &["dev"])
        .user("sue@pve", &[])
        .grant("/access/groups/dev", "boss@pve", "PVEUserAdmin")
        .access();
    let check = |new_groups| Check::UserGroups {
        privileges: &[Privilege::UserModify],
        new_groups,
    };
    let allowed = |new_groups: bool, given: serde_json::Value| {
        denied(&access, "boss@pve", check(new_groups), given).is_empty()
    };
    assert!(allowed(false, json!({"userid": "joe@pve"})));
    assert!(!allowed(false, json!({"userid": "sue@pve"})));
    assert!(allowed(true, json!({"userid": "joe@pve"})));
    assert!(!allowed(
        true,
        json!({"userid": "joe@pve", "groups": "dev,ops"})
    ));
    assert!(
        !allowed(true, json!({"userid": "sue@pve", "groups": "dev"})),
        "not yet a member"
    );
    assert!(allowed(true, json!({"userid": "new@pve", "groups": "dev"})));
    assert!(!allowed(true, json!({"userid": "new@pve"})));
}

#[test]
fn any_and_all_combine_checks() {
    use Privilege as P;
    let access = base().grant("/vms/100", "jane@pve", "Audit").access();
    const YES: Check = Check::On("/vms/100", &[P::VmAudit]);
    const NO: Check = Check::On("/vms/100", &[P::VmClone]);
    let text = |check| denied(&access, "jane@pve", check, json!({}));
    assert_eq!(text(Check::Any(&[NO, YES])), "");
    assert_eq!(text(Check::Any(&[NO, NO])), "Permission check failed");
    assert_eq!(
        text(Check::All(&[YES, NO])),
        "Permission check failed (/vms/100, VM.Clone)"
    );
    assert_eq!(text(Check::All(&[YES, YES])), "");
}

#[test]
fn changes_of_old_commits_do_not_come_back() {
    let mut access = base().access();
    let revision = access.revision();
    let gone = Change::Delete {
        key: keys::user(&user("jane@pve")),
        revision,
    };
    access.apply(&Changes {
        revision,
        changes: vec![gone.clone()],
    });
    assert!(access.user(&user("jane@pve")).is_some());
    access.apply(&Changes {
        revision: Revision(revision.0 + 1),
        changes: vec![gone],
    });
    assert!(access.user(&user("jane@pve")).is_none());
}

fn roles() -> impl Strategy<Value = String> {
    let names: Vec<String> = crate::roles::BUILT_IN
        .iter()
        .flat_map(|n| [(*n).to_owned(), format!("{n}-")])
        .collect();
    proptest::sample::select(names)
}

proptest! {
    // covers: S2.55, S4.30
    #[test]
    fn a_separated_token_never_exceeds_its_owner(
        grants in proptest::collection::vec(
            (
                proptest::sample::select(vec!["/", "/vms", "/vms/100", "/pool/p", "/storage/s"]),
                proptest::sample::select(vec!["jane@pve", "@ops", "jane@pve!ci"]),
                roles(),
            ),
            0..12,
        ),
    ) {
        let world = base().token("jane@pve", "ci", true).pool("p", &[100], &["s"]);
        let access = grants.iter().fold(world, |w, (path, who, role)| w.grant(path, who, role));
        let access = access.access();
        for path in ["/", "/vms", "/vms/100", "/vms/7", "/pool/p", "/storage/s"] {
            let owner = access.privileges(&who("jane@pve"), NOW, path);
            let token = access.privileges(&who("jane@pve!ci"), NOW, path);
            prop_assert_eq!(token.intersection(owner), token, "{}", path);
        }
    }

    #[test]
    fn what_is_shown_to_hold_below_holds_below(
        grants in proptest::collection::vec(
            (
                proptest::sample::select(vec!["/", "/vms", "/nodes"]),
                proptest::sample::select(vec!["jane@pve", "@ops", "@dev"]),
                roles(),
            ),
            0..8,
        ),
    ) {
        let access = grants.iter().fold(base(), |w, (path, who, role)| w.grant(path, who, role));
        let access = access.access();
        let view = access.view(&who("jane@pve"), NOW);
        let below = view.privileges("/vms/100");
        for (privilege, propagates) in view.permissions_on("/vms") {
            let privilege = Privilege::from_name(privilege).unwrap();
            prop_assert!(!propagates || below.contains(privilege));
        }
    }
}
