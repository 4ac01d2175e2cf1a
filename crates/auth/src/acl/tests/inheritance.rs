//! Inheritance in the access control list, case by case.

use super::*;

/// (path, who, role) as `World::grant` takes them.
type Grants = &'static [(&'static str, &'static str, &'static str)];

/// What the case shows, the grants, the path, jane's privileges there.
const CASES: &[(&str, Grants, &str, &str)] = &[
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

// covers: S3.79
#[test]
fn rights_are_inherited_replaced_and_ended_as_the_list_says() {
    for (case, grants, path, expected) in CASES {
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
    assert!(!permissions["/vms/100"]["VM.PowerMgmt"], "never below");
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
        .write(keys::acl("/vms").unwrap(), newer);
    let access = world.access();
    assert_eq!(text(&access, "jane@pve", "/vms/100"), "");
    assert_eq!(text(&access, "jane@pve", "/storage"), AUDIT);
    assert_eq!(
        access.privileges(&Identity::root(), NOW, "/vms"),
        PrivilegeSet::all()
    );
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
