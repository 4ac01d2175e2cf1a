//! `POST /access/domains`

use model::{Error, RealmId};
use proto::wire::Answer;
use serde::Deserialize;

use super::Op;

#[derive(Deserialize)]
struct Create {
    realm: RealmId,
    #[serde(rename = "type")]
    kind: String,
}

/// The schema refuses all types but the built-in ones, of which one realm each exists already.
pub(super) async fn domain_create(op: Op) -> Result<Answer, Error> {
    let create: Create = op.params()?;
    let reason = match op.context.authority.access().realm(create.realm.as_str()) {
        Some(_) => format!("domain '{}' already exists", create.realm),
        None => format!("unable to create builtin type '{}'", create.kind),
    };
    Err(Error::conflict(format!("add auth server failed: {reason}")))
}
