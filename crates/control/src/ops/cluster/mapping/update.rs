//! `PUT /cluster/mapping/{kind}/{id}`

use model::Error;
use model::schema::format::split_list;
use node::Settings;
use node::mappings::mapping_key;
use proto::wire::Answer;
use serde::Deserialize;

use super::{Kind, check_folders, during};
use crate::ops::settings::{check_deleted, check_digest};
use crate::ops::{Op, change_options};

#[derive(Deserialize)]
struct Update {
    id: String,
    delete: Option<String>,
    digest: Option<String>,
}

/// What a mapping must have.
const REQUIRED: &[&str] = &["map"];

pub(super) async fn update<K: Kind>(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    check_folders(&op.context, K::KIND, &op.params).await?;
    let kind = K::KIND.as_str();
    let missing = || Error::not_found(format!("{kind} ID '{}' does not exist", update.id));
    let options = match kind {
        "pci" => &["description", "mdev", "live-migration-capable"][..],
        _ => &["description"],
    };
    let change = |mapping: &mut Settings| {
        check_digest(mapping, update.digest.as_deref())?;
        if !op.params.contains_key("map") {
            let text = "missing value for required option 'map'";
            return Err(Error::conflict(text));
        }
        let deleted = update.delete.as_deref().unwrap_or_default();
        check_deleted(split_list(deleted), REQUIRED, options, &op.params)?;
        change_options(&op.params, &["id", "delete", "digest"], mapping);
        Ok(())
    };
    let key = mapping_key(K::KIND, &update.id)?;
    let updated = op.records.update_settings(&key, missing, change).await;
    let revision = updated.map_err(during("update", K::KIND))?;
    Ok(Answer::null().at(revision.0))
}
