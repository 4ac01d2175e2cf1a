//! `/storage`

mod attach;
mod create;
mod delete;
mod detach;
mod get;
mod key;
mod list;
pub(in crate::ops) mod options;
mod secret;
mod update;

use super::{Pair, pair};
use crate::Context;
use model::{Error, ErrorKind, Privilege, StorageId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;
use storage::StorageConfig;

pub(super) const PAIRS: &[Pair] = &[
    pair!("storage_attach", attach::attach),
    pair!("storage_detach", detach::detach),
    pair!("storage_list", list::list),
    pair!("storage_create", create::create),
    pair!("storage_get", get::get),
    pair!("storage_key", key::key),
    pair!("storage_update", update::update),
    pair!("storage_delete", delete::delete),
];

/// With one of these privileges on a storage a caller may see it.
pub(super) const SEES: [Privilege; 2] =
    [Privilege::DatastoreAudit, Privilege::DatastoreAllocateSpace];

#[derive(Deserialize)]
struct Named {
    storage: StorageId,
}

/// Checks that a storage can be used when it is configured, not at the first guest.
async fn activate(
    context: &Context,
    config: &StorageConfig,
    secret: Option<String>,
) -> Result<(), Error> {
    if config.is_enabled_on(&context.node.name) {
        node::make_group(&context.node, config).await?;
        let driver = context.node.drivers.open(config.clone(), secret);
        driver.activate().await?;
    }
    Ok(())
}

fn changed(config: &StorageConfig) -> Answer {
    Answer::new(json!({"storage": config.id().as_str(), "type": config.spec.kind().as_str()}))
}

fn missing(id: &StorageId) -> Error {
    Error::not_found(format!("storage '{id}' does not exist"))
}

fn unreadable(error: model::RecordError) -> Error {
    Error::bug(Error::chain(&error))
}

/// Errors of a change begin with the attempted action, except for invalid parameters.
fn during(attempt: &'static str) -> impl Fn(Error) -> Error {
    move |mut error| {
        if error.kind != ErrorKind::Invalid {
            error.message = format!("{attempt} storage failed: {}", error.message);
        }
        error
    }
}
