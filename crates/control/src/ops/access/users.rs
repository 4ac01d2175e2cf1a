//! Code that the operations on users share.

use auth::User;
use auth::edit::users::UserChange;
use model::{Error, UnixTime, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::items;

/// Fields of both lists and single reads. A user with a comment has an `email`, even an empty one:
/// clients expect that.
pub(super) fn shown(user: &User) -> Value {
    let mut row = json!({
        "enable": u8::from(user.enable),
        "expire": user.expire,
    });
    if !user.email.is_empty() || !user.comment.is_empty() {
        row["email"] = user.email.as_str().into();
    }
    for (name, value) in [
        ("firstname", &user.firstname),
        ("lastname", &user.lastname),
        ("comment", &user.comment),
    ] {
        if !value.is_empty() {
            row[name] = value.as_str().into();
        }
    }
    row
}

#[derive(Deserialize)]
pub(super) struct Params {
    pub(super) userid: UserId,
    pub(super) password: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) email: Option<String>,
    pub(super) enable: Option<bool>,
    pub(super) expire: Option<UnixTime>,
    pub(super) firstname: Option<String>,
    pub(super) lastname: Option<String>,
    pub(super) groups: Option<String>,
    pub(super) append: Option<bool>,
    pub(super) keys: Option<String>,
}

impl Params {
    pub(super) fn change(&self) -> Result<UserChange, Error> {
        if self.keys.as_deref().is_some_and(|keys| !keys.is_empty()) {
            // Clients send the field empty; keys would be stored without effect.
            return Err(Error::invalid(
                "keys",
                "not supported by this version of Ostler",
            ));
        }
        let groups = self
            .groups
            .as_deref()
            .map(|groups| items(Some(groups)))
            .transpose()?;
        Ok(UserChange {
            enable: self.enable,
            expire: self.expire,
            firstname: self.firstname.clone(),
            lastname: self.lastname.clone(),
            email: self.email.clone(),
            comment: self.comment.clone(),
            groups: groups.map(|groups| groups.into_iter().collect()),
            append: self.append.unwrap_or(false),
        })
    }
}
