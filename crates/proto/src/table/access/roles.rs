//! `/access/roles`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::{Check, Permission, Row};

const ROLEID: Field = Field::string("roleid").format(format::ROLE_ID);
const PRIVS: Field = Field::string("privs")
    .optional()
    .format(format::PRIVILEGE_LIST);
const MODIFY: Check = Check::On("/access", &[Privilege::SysModify]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get("/access/roles", "role_list", "All roles.")
        .returns(Shape::Array(&Shape::Object {
            fields: &[&[
                PRIVS,
                ROLEID,
                Field::boolean("special").optional().default("0"),
            ]],
            open: true,
        }))
        .permission(Permission::User),
    Row::post("/access/roles", "role_create", "Add a role.")
        .params(&[&[ROLEID, PRIVS]])
        .check(MODIFY),
    Row::delete("/access/roles/{roleid}", "role_delete", "Remove a role.")
        .params(&[&[ROLEID]])
        .check(MODIFY),
    Row::get(
        "/access/roles/{roleid}",
        "role_get",
        "The privileges of a role.",
    )
    .params(&[&[ROLEID]])
    .returns(Shape::Object {
        fields: &[PRIVILEGES],
        open: false,
    })
    .permission(Permission::User),
    Row::put(
        "/access/roles/{roleid}",
        "role_update",
        "Change the privileges of a role.",
    )
    .params(&[&[
        ROLEID,
        Field::boolean("append").optional().requires("privs"),
        PRIVS,
    ]])
    .check(MODIFY),
];

/// Declares an optional flag for each name.
macro_rules! flags {
    ($($name:literal),* $(,)?) => { &[$(Field::boolean($name).optional()),*] };
}

/// A flag for every privilege there is.
const PRIVILEGES: &[Field] = flags![
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Replicate",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_privilege_has_its_flag() {
        let flags: Vec<&str> = super::PRIVILEGES.iter().map(|field| field.name).collect();
        let all: Vec<&str> = model::PRIVILEGES.iter().map(|p| p.as_str()).collect();
        assert_eq!(flags, all);
    }
}
