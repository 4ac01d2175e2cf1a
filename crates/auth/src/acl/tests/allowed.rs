//! A computed set agrees with a check of each object.

use super::*;

const PATHS: [&str; 11] = [
    "/",
    "/vms",
    "/vms/100",
    "/vms/101",
    "/pool",
    "/pool/lab",
    "/pool/lab/web",
    "/storage",
    "/storage/fast",
    "/nodes",
    "/nodes/one",
];

const SUBJECTS: [&str; 4] = ["jane@pve", "jane@pve!own", "jane@pve!all", "@ops"];

const ROLES: [&str; 6] = [
    "Audit",
    "Audit-",
    "Console",
    "Console-",
    "NoAccess",
    "NoAccess-",
];

/// Indices into `PATHS`, `SUBJECTS` and `ROLES`.
type Grant = (usize, usize, usize);

fn snapshot(grants: &[Grant], unreadable: Option<usize>) -> Access {
    let audit = [
        Privilege::VmAudit,
        Privilege::DatastoreAudit,
        Privilege::SysAudit,
    ];
    let mut world = World::default()
        .group("ops")
        .user("jane@pve", &["ops"])
        .role("Audit", &audit)
        .role("Console", &[Privilege::VmConsole])
        .token("jane@pve", "own", true)
        .token("jane@pve", "all", false)
        .pool("lab", &[101, 102], &["fast", "slow"])
        .pool("lab/web", &[103], &["slow"]);
    for (path, subject, role) in grants {
        world = world.grant(PATHS[*path], SUBJECTS[*subject], ROLES[*role]);
    }
    if let Some(path) = unreadable {
        world = world.write(keys::acl(PATHS[path]).unwrap(), b"?".to_vec());
    }
    world.access()
}

proptest! {
    #[test]
    fn a_set_says_what_each_thing_says(
        grants in prop::collection::vec((0..PATHS.len(), 0..SUBJECTS.len(), 0..ROLES.len()), 0..8),
        unreadable in prop::option::of(0..PATHS.len()),
    ) {
        let access = snapshot(&grants, unreadable);
        for label in ["jane@pve", "jane@pve!own", "jane@pve!all", "nobody@pve", "root@pam"] {
            let view = access.view(&who(label), NOW);
            let guests = view.guests_with(Privilege::VmAudit);
            for vmid in 99..106 {
                let one = view.has(&format!("/vms/{vmid}"), Privilege::VmAudit);
                prop_assert_eq!(guests.includes(&vmid), one, "{} on {}", label, vmid);
            }
            let storages = view.storages_with(Privilege::DatastoreAudit);
            for id in ["fast", "slow", "other"] {
                let one = view.has(&format!("/storage/{id}"), Privilege::DatastoreAudit);
                prop_assert_eq!(storages.includes(id), one, "{} on {}", label, id);
            }
            let nodes = view.nodes_with(Privilege::SysAudit);
            for name in ["one", "two"] {
                let one = view.has(&format!("/nodes/{name}"), Privilege::SysAudit);
                prop_assert_eq!(nodes.includes(name), one, "{} on {}", label, name);
            }
        }
    }
}

#[test]
fn one_right_on_one_guest_is_one_exception() {
    let access = snapshot(&[(2, 0, 0)], None);
    let view = access.view(&who("jane@pve"), NOW);
    let guests = view.guests_with(Privilege::VmAudit);
    assert!(!guests.others());
    assert_eq!(guests.exceptions(..).collect::<Vec<_>>(), [&100]);
}
