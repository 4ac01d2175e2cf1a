//! `/access`: users, groups, roles, rights, tokens, realms, second factors and sessions.

mod acl_list;
mod acl_update;
mod domain_create;
mod domain_delete;
mod domain_get;
mod domain_list;
mod domain_update;
mod domains;
mod group_create;
mod group_delete;
mod group_get;
mod group_list;
mod group_update;
mod groups;
mod index;
mod password_update;
mod permissions_get;
mod role_create;
mod role_delete;
mod role_get;
mod role_list;
mod role_update;
mod roles;
mod tfa;
mod tfa_create;
mod tfa_delete;
mod tfa_get;
mod tfa_list;
mod tfa_update;
mod tfa_user;
mod ticket;
mod ticket_create;
mod ticket_get;
mod token_create;
mod token_delete;
mod token_get;
mod token_list;
mod token_update;
mod tokens;
mod user_create;
mod user_delete;
mod user_get;
mod user_list;
mod user_tfa;
mod user_unlock_tfa;
mod user_update;
mod users;
mod vncticket_verify;

use auth::{AuthError, Denied};
use model::schema::format::split_list;
use model::{Error, UserId};
use proto::Identity;

use super::{Op, Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("access_index", index::index),
    pair!("acl_list", acl_list::acl_list),
    pair!("acl_update", acl_update::acl_update),
    pair!("domain_list", domain_list::domain_list),
    pair!("domain_create", domain_create::domain_create),
    pair!("domain_delete", domain_delete::domain_delete),
    pair!("domain_get", domain_get::domain_get),
    pair!("domain_update", domain_update::domain_update),
    pair!("group_list", group_list::group_list),
    pair!("group_create", group_create::group_create),
    pair!("group_delete", group_delete::group_delete),
    pair!("group_get", group_get::group_get),
    pair!("group_update", group_update::group_update),
    pair!("password_update", password_update::password_update),
    pair!("permissions_get", permissions_get::permissions_get),
    pair!("role_list", role_list::role_list),
    pair!("role_create", role_create::role_create),
    pair!("role_delete", role_delete::role_delete),
    pair!("role_get", role_get::role_get),
    pair!("role_update", role_update::role_update),
    pair!("tfa_list", tfa_list::tfa_list),
    pair!("tfa_user", tfa_user::tfa_user),
    pair!("tfa_create", tfa_create::tfa_create),
    pair!("tfa_delete", tfa_delete::tfa_delete),
    pair!("tfa_get", tfa_get::tfa_get),
    pair!("tfa_update", tfa_update::tfa_update),
    pair!("ticket_get", ticket_get::ticket_get),
    pair!("ticket_create", ticket_create::ticket_create),
    pair!("vncticket_verify", vncticket_verify::vncticket_verify),
    pair!("token_list", token_list::token_list),
    pair!("token_create", token_create::token_create),
    pair!("token_delete", token_delete::token_delete),
    pair!("token_get", token_get::token_get),
    pair!("token_update", token_update::token_update),
    pair!("user_list", user_list::user_list),
    pair!("user_create", user_create::user_create),
    pair!("user_delete", user_delete::user_delete),
    pair!("user_get", user_get::user_get),
    pair!("user_update", user_update::user_update),
    pair!("user_tfa", user_tfa::user_tfa),
    pair!("user_unlock_tfa", user_unlock_tfa::user_unlock_tfa),
];

/// The items of a list parameter, parsed.
fn items<T: std::str::FromStr>(list: Option<&str>) -> Result<Vec<T>, Error> {
    split_list(list.unwrap_or_default())
        .map(|item| {
            item.parse()
                .map_err(|_| Error::bug(format!("'{item}' passed its format")))
        })
        .collect()
}

/// A user manager must not gain root's rights through its account.
fn guard_root(who: &Identity, user: &UserId) -> Result<(), Error> {
    if user.is_root() && !who.is_root() {
        Err(Denied::not_root().into())
    } else {
        Ok(())
    }
}

/// The user must exist: an object without its owner is not changed.
fn check_user(op: &Op, user: &UserId) -> Result<(), Error> {
    let missing = || Error::not_found(format!("no such user ('{user}')"));
    op.context
        .authority
        .access()
        .user(user)
        .map(drop)
        .ok_or_else(missing)
}

/// Requires the caller's own password, except of root. A wrong one does not end the session, as
/// status 401 would for clients.
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
