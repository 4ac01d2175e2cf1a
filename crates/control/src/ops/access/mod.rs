//! `/access`: users, groups, roles, rights, tokens, realms, second factors and sessions.

mod acl;
mod domains;
mod groups;
mod password;
mod permissions;
mod roles;
mod tfa;
mod ticket;
mod tokens;
mod users;

use auth::{AuthError, Denied};
use model::schema::format::split_list;
use model::{Error, UserId};
use proto::{Identity, wire::Answer};
use serde_json::{Value, json};

use super::{Op, Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("access_index", index),
    pair!("acl_list", acl::list),
    pair!("acl_update", acl::update),
    pair!("domain_list", domains::list),
    pair!("domain_create", domains::create),
    pair!("domain_delete", domains::delete),
    pair!("domain_get", domains::get),
    pair!("domain_update", domains::update),
    pair!("group_list", groups::list),
    pair!("group_create", groups::create),
    pair!("group_delete", groups::delete),
    pair!("group_get", groups::get),
    pair!("group_update", groups::update),
    pair!("password_update", password::update),
    pair!("permissions_get", permissions::get),
    pair!("role_list", roles::list),
    pair!("role_create", roles::create),
    pair!("role_delete", roles::delete),
    pair!("role_get", roles::get),
    pair!("role_update", roles::update),
    pair!("tfa_list", tfa::list),
    pair!("tfa_user", tfa::of_user),
    pair!("tfa_create", tfa::create),
    pair!("tfa_delete", tfa::delete),
    pair!("tfa_get", tfa::get),
    pair!("tfa_update", tfa::update),
    pair!("ticket_get", ticket::get),
    pair!("ticket_create", ticket::create),
    pair!("vncticket_verify", ticket::verify_console),
    pair!("token_list", tokens::list),
    pair!("token_create", tokens::create),
    pair!("token_delete", tokens::delete),
    pair!("token_get", tokens::get),
    pair!("token_update", tokens::update),
    pair!("user_list", users::list),
    pair!("user_create", users::create),
    pair!("user_delete", users::delete),
    pair!("user_get", users::get),
    pair!("user_update", users::update),
    pair!("user_tfa", tfa::types),
    pair!("user_unlock_tfa", tfa::unlock),
];

const SUBDIRS: [&str; 9] = [
    "users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password",
];

async fn index(_op: Op) -> Result<Answer, Error> {
    let rows: Vec<Value> = SUBDIRS.iter().map(|name| json!({"subdir": name})).collect();
    Ok(Answer::new(rows))
}

/// The items of a list parameter, each in its own type.
fn items<T: std::str::FromStr>(list: Option<&str>) -> Result<Vec<T>, Error> {
    split_list(list.unwrap_or_default())
        .map(|item| {
            item.parse()
                .map_err(|_| Error::bug(format!("'{item}' passed its format")))
        })
        .collect()
}

/// Who manages users must not come by the superuser's rights through its account.
fn guard_root(who: &Identity, user: &UserId) -> Result<(), Error> {
    if user.is_root() && !who.is_root() {
        Err(Denied::not_root().into())
    } else {
        Ok(())
    }
}

/// The user must exist: nothing is changed without its owner.
fn check_user(op: &Op, user: &UserId) -> Result<(), Error> {
    let missing = || Error::not_found(format!("no such user ('{user}')"));
    op.context
        .authority
        .access()
        .user(user)
        .map(drop)
        .ok_or_else(missing)
}

/// Asks for the caller's own password, where it is not root. A wrong one does not end the
/// session, as status 401 would to clients.
async fn confirm(op: &Op, field: &str, password: Option<&str>) -> Result<(), Error> {
    let who = op.identity()?;
    if who.is_root() {
        return Ok(());
    }
    let needed = || Error::invalid(field, "password is required to modify user");
    let password = password.ok_or_else(needed)?;
    let authority = &op.context.authority;
    let confirmed = authority
        .confirm_password(&who.user, password, op.origin())
        .await;
    confirmed.map_err(|error| match error {
        AuthError::LoginFailed => Error::conflict("invalid credentials"),
        other => other.into(),
    })
}
