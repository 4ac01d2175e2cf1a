//! The built-in roles, with the privileges that Proxmox VE 9 gives them.

use model::{Privilege, PrivilegeSet};

/// Revokes everything that was inherited.
pub const NO_ACCESS: &str = "NoAccess";

/// The names of the built-in roles, sorted.
pub const BUILT_IN: &[&str] = &[
    "Administrator",
    "NoAccess",
    "PVEAdmin",
    "PVEAuditor",
    "PVEDatastoreAdmin",
    "PVEDatastoreUser",
    "PVEMappingAdmin",
    "PVEMappingUser",
    "PVEPoolAdmin",
    "PVEPoolUser",
    "PVESDNAdmin",
    "PVESDNUser",
    "PVESysAdmin",
    "PVETemplateUser",
    "PVEUserAdmin",
    "PVEVMAdmin",
    "PVEVMUser",
];

/// Classes of privileges. Roles are made of them.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Class {
    Audit,
    User,
    Admin,
    /// Only in Administrator.
    Root,
}

fn class(privilege: Privilege) -> Class {
    use Privilege as P;
    match privilege {
        P::SysPowerMgmt
        | P::SysModify
        | P::SysIncoming
        | P::SysAccessNetwork
        | P::RealmAllocate
        | P::PermissionsModify => Class::Root,
        P::VmAudit
        | P::VmGuestAgentAudit
        | P::SysAudit
        | P::DatastoreAudit
        | P::SdnAudit
        | P::PoolAudit
        | P::MappingAudit => Class::Audit,
        P::VmConfigCdrom
        | P::VmConfigCloudinit
        | P::VmConsole
        | P::VmBackup
        | P::VmGuestAgentFileRead
        | P::VmGuestAgentFileWrite
        | P::VmGuestAgentFileSystemMgmt
        | P::VmPowerMgmt
        | P::DatastoreAllocateSpace
        | P::SdnUse
        | P::MappingUse => Class::User,
        _ => Class::Admin,
    }
}

/// The part of a privilege's name for its area; users, groups and realms count as one.
fn area(privilege: Privilege) -> &'static str {
    match privilege.as_str().split('.').next() {
        Some("Group" | "Realm") => "User",
        Some(area) => area,
        None => "",
    }
}

fn of(wanted: impl Fn(&'static str, Class) -> bool) -> PrivilegeSet {
    PrivilegeSet::all()
        .iter()
        .filter(|p| wanted(area(*p), class(*p)))
        .collect()
}

fn admin_of(wanted: &str) -> PrivilegeSet {
    of(|area, class| area == wanted && class != Class::Root)
}

fn user_of(wanted: &str) -> PrivilegeSet {
    of(|area, class| area == wanted && matches!(class, Class::User | Class::Audit))
}

/// The privileges of a built-in role; none for any other name.
pub fn built_in(name: &str) -> Option<PrivilegeSet> {
    Some(match name {
        "Administrator" => PrivilegeSet::all(),
        NO_ACCESS => PrivilegeSet::EMPTY,
        "PVEAdmin" => {
            of(|area, class| class != Class::Root && !(area == "Mapping" && class == Class::Admin))
        }
        "PVEAuditor" => of(|_, class| class == Class::Audit),
        "PVETemplateUser" => [Privilege::VmAudit, Privilege::VmClone]
            .into_iter()
            .collect(),
        "PVEDatastoreAdmin" => admin_of("Datastore"),
        "PVEDatastoreUser" => user_of("Datastore"),
        "PVEMappingAdmin" => admin_of("Mapping"),
        "PVEMappingUser" => user_of("Mapping"),
        "PVEPoolAdmin" => admin_of("Pool"),
        "PVEPoolUser" => user_of("Pool"),
        "PVESDNAdmin" => admin_of("SDN"),
        "PVESDNUser" => user_of("SDN"),
        "PVESysAdmin" => admin_of("Sys"),
        "PVEUserAdmin" => admin_of("User"),
        "PVEVMAdmin" => admin_of("VM"),
        "PVEVMUser" => user_of("VM"),
        _ => return None,
    })
}

pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// `VM.Audit,VM.Backup`: a role's privileges in the wire format.
pub fn join(privileges: PrivilegeSet) -> String {
    privileges
        .iter()
        .map(Privilege::as_str)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from a Proxmox VE 9.2 node: `GET /access/roles`.
    const RECORDED: &str = include_str!("../tests/data/roles.txt");

    // covers: S3.79
    #[test]
    fn built_in_roles_are_those_that_were_recorded() {
        let recorded: Vec<(&str, &str)> = RECORDED
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        assert_eq!(recorded.len(), BUILT_IN.len());
        for (name, privileges) in recorded {
            assert_eq!(join(built_in(name).unwrap()), privileges, "{name}");
        }
    }
}
