//! Privileges, as Proxmox VE 9 names them.

use serde::{Deserialize, Serialize};

/// Declares the privileges with their names, once.
macro_rules! privileges {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A privilege that a role can grant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Privilege { $(#[serde(rename = $name)] $variant),* }

        /// All privileges there are.
        pub const PRIVILEGES: &[Privilege] = &[$(Privilege::$variant),*];

        impl Privilege {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

privileges! {
    DatastoreAllocate "Datastore.Allocate",
    DatastoreAllocateSpace "Datastore.AllocateSpace",
    DatastoreAllocateTemplate "Datastore.AllocateTemplate",
    DatastoreAudit "Datastore.Audit",
    GroupAllocate "Group.Allocate",
    MappingAudit "Mapping.Audit",
    MappingModify "Mapping.Modify",
    MappingUse "Mapping.Use",
    PermissionsModify "Permissions.Modify",
    PoolAllocate "Pool.Allocate",
    PoolAudit "Pool.Audit",
    RealmAllocate "Realm.Allocate",
    RealmAllocateUser "Realm.AllocateUser",
    SdnAllocate "SDN.Allocate",
    SdnAudit "SDN.Audit",
    SdnUse "SDN.Use",
    SysAccessNetwork "Sys.AccessNetwork",
    SysAudit "Sys.Audit",
    SysConsole "Sys.Console",
    SysIncoming "Sys.Incoming",
    SysModify "Sys.Modify",
    SysPowerMgmt "Sys.PowerMgmt",
    SysSyslog "Sys.Syslog",
    UserModify "User.Modify",
    VmAllocate "VM.Allocate",
    VmAudit "VM.Audit",
    VmBackup "VM.Backup",
    VmClone "VM.Clone",
    VmConfigCdrom "VM.Config.CDROM",
    VmConfigCpu "VM.Config.CPU",
    VmConfigCloudinit "VM.Config.Cloudinit",
    VmConfigDisk "VM.Config.Disk",
    VmConfigHwType "VM.Config.HWType",
    VmConfigMemory "VM.Config.Memory",
    VmConfigNetwork "VM.Config.Network",
    VmConfigOptions "VM.Config.Options",
    VmConsole "VM.Console",
    VmGuestAgentAudit "VM.GuestAgent.Audit",
    VmGuestAgentFileRead "VM.GuestAgent.FileRead",
    VmGuestAgentFileSystemMgmt "VM.GuestAgent.FileSystemMgmt",
    VmGuestAgentFileWrite "VM.GuestAgent.FileWrite",
    VmGuestAgentUnrestricted "VM.GuestAgent.Unrestricted",
    VmMigrate "VM.Migrate",
    VmPowerMgmt "VM.PowerMgmt",
    VmReplicate "VM.Replicate",
    VmSnapshot "VM.Snapshot",
    VmSnapshotRollback "VM.Snapshot.Rollback",
}

/// A set of privileges: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct PrivilegeSet(u64);

impl PrivilegeSet {
    pub const EMPTY: Self = Self(0);

    pub fn all() -> Self {
        PRIVILEGES.iter().copied().collect()
    }

    pub fn contains(self, privilege: Privilege) -> bool {
        self.0 & (1 << privilege as u64) != 0
    }

    pub fn insert(&mut self, privilege: Privilege) {
        self.0 |= 1 << privilege as u64;
    }

    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Privilege> {
        PRIVILEGES
            .iter()
            .copied()
            .filter(move |privilege| self.contains(*privilege))
    }
}

impl FromIterator<Privilege> for PrivilegeSet {
    fn from_iter<I: IntoIterator<Item = Privilege>>(privileges: I) -> Self {
        let mut set = Self::EMPTY;
        for privilege in privileges {
            set.insert(privilege);
        }
        set
    }
}

// One bit each: the set is a u64.
const _: () = assert!(PRIVILEGES.len() <= 64);
