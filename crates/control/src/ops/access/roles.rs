//! Code that the operations on roles share.

use auth::roles as built_in;
use model::schema::format::split_list;
use model::{Error, Privilege, RoleId};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Params {
    pub(super) roleid: RoleId,
    pub(super) privs: Option<String>,
    pub(super) append: Option<bool>,
}

impl Params {
    pub(super) fn privileges(&self) -> Vec<Privilege> {
        let names = self.privs.as_deref().unwrap_or_default();
        split_list(names).filter_map(Privilege::from_name).collect()
    }
}

pub(super) fn refuse_built_in(role: &RoleId, attempt: &str) -> Result<(), Error> {
    if built_in::is_built_in(role.as_str()) {
        let text = format!("auto-generated role '{role}' cannot be {attempt}");
        return Err(Error::conflict(text));
    }
    Ok(())
}
