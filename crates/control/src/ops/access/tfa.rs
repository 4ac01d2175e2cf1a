//! Code that the operations on second factors share.

use auth::tfa::{Factors, Shown};
use model::{Error, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

/// Omits fields that have their defaults.
pub(super) fn entry(shown: &Shown) -> Value {
    let mut row = json!({"id": shown.id, "type": shown.kind, "created": shown.created});
    if !shown.description.is_empty() {
        row["description"] = shown.description.as_str().into();
    }
    if !shown.enable {
        row["enable"] = 0.into();
    }
    row
}

pub(super) fn entries(factors: &Factors) -> Vec<Value> {
    factors.shown().iter().map(entry).collect()
}

/// Adds locks to a user's row.
pub(super) fn show_locks(factors: &Factors, now: model::UnixTime, row: &mut Value) {
    if factors.totp_locked {
        row["totp-locked"] = 1.into();
    }
    if factors.is_locked(now) {
        row["tfa-locked-until"] = factors.locked_until.into();
    }
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) userid: UserId,
}

#[derive(Deserialize)]
pub(super) struct One {
    pub(super) userid: UserId,
    pub(super) id: String,
    pub(super) password: Option<String>,
    pub(super) description: Option<String>,
    pub(super) enable: Option<bool>,
}

pub(super) fn no_entry() -> Error {
    Error::not_found("no such entry")
}
