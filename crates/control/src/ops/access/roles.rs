//! Roles.

use auth::{edit, roles as built_in};
use model::schema::format::split_list;
use model::{Error, Privilege, RoleId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let access = op.context.authority.access();
    let custom = access.custom_roles().map(|role| (role.as_str(), 0));
    let rows = built_in::BUILT_IN
        .iter()
        .map(|name| (*name, 1))
        .chain(custom);
    let rows = rows.map(|(name, special)| {
        let privileges = access.role(name).unwrap_or_default();
        json!({"roleid": name, "privs": built_in::join(privileges), "special": special})
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

#[derive(Deserialize)]
struct Params {
    roleid: RoleId,
    privs: Option<String>,
    append: Option<bool>,
}

impl Params {
    fn privileges(&self) -> Vec<Privilege> {
        let names = self.privs.as_deref().unwrap_or_default();
        split_list(names).filter_map(Privilege::from_name).collect()
    }
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let prefix = params.roleid.as_str().get(..3).unwrap_or_default();
    if prefix.eq_ignore_ascii_case("PVE") {
        let reason = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Error::invalid("roleid", reason));
    }
    let privileges = params.privileges();
    let done = op
        .context
        .authority
        .change(|access| edit::roles::create(access, &params.roleid, &privileges))
        .await;
    let revision = done.map_err(|error| error.during("create role failed"))?;
    Ok(Answer::null().at(revision.0))
}

fn refuse_built_in(role: &RoleId, attempt: &str) -> Result<(), Error> {
    if built_in::is_built_in(role.as_str()) {
        let text = format!("auto-generated role '{role}' cannot be {attempt}");
        return Err(Error::conflict(text));
    }
    Ok(())
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    refuse_built_in(&params.roleid, "modified")?;
    let (privileges, append) = (params.privileges(), params.append.unwrap_or(false));
    let done = op
        .context
        .authority
        .change(|access| edit::roles::update(access, &params.roleid, &privileges, append))
        .await;
    let revision = done.map_err(|error| error.during("update role failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    refuse_built_in(&params.roleid, "deleted")?;
    let done = op
        .context
        .authority
        .change(|access| edit::roles::delete(access, &params.roleid))
        .await;
    let revision = done.map_err(|error| error.during("delete role failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let access = op.context.authority.access();
    let missing = || Error::not_found(format!("role '{}' does not exist", params.roleid));
    let privileges = access.role(params.roleid.as_str()).ok_or_else(missing)?;
    let flags = privileges
        .iter()
        .map(|privilege| (privilege.as_str().to_owned(), 1.into()));
    Ok(Answer::new(Map::from_iter(flags)))
}
