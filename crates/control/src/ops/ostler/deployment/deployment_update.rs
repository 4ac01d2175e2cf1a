//! `PUT /ostler/deployment`

use model::schema::format::split_list;
use model::{Error, VolumeId};
use node::Settings;
use node::deployment::deployment_key;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::settings::{check_deleted, check_digest};
use crate::ops::{Op, change_options};

const OPTIONS: [&str; 3] = ["mode", "templates", "volumes"];

#[derive(Deserialize)]
struct Update {
    delete: Option<String>,
    digest: Option<String>,
    volumes: Option<String>,
}

pub(super) async fn deployment_update(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    let deleted = split_list(update.delete.as_deref().unwrap_or_default());
    check_deleted(deleted, &[], &OPTIONS, &op.params)?;
    for volume in split_list(update.volumes.as_deref().unwrap_or_default()) {
        let parsed: Result<VolumeId, _> = volume.parse();
        parsed.map_err(|error| Error::invalid("volumes", error.to_string()))?;
    }
    let change = |settings: &mut Settings| {
        check_digest(settings, update.digest.as_deref())?;
        change_options(&op.params, &["delete", "digest"], settings);
        Ok(())
    };
    let revision = op
        .records
        .change_settings(&deployment_key(), change)
        .await?;
    Ok(Answer::null().at(revision.0))
}
