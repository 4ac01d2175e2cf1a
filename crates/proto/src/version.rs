//! The version of Proxmox VE's API that is implemented (docs/decisions/0005).

pub const API_VERSION: &str = "9.2.11";
pub const API_RELEASE: &str = "9.2";

/// In the place of Proxmox VE's source revision. A constant: clients only check that it is
/// hexadecimal.
pub const REPOSITORY_ID: &str = "05713e0000000000";
