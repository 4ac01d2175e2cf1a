//! `PUT /ostler/deployment`

use model::schema::format::split_list;
use model::{Error, VolumeId};
use node::deployment::deployment_key;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;
use crate::ops::settings::update_settings;

const OPTIONS: [&str; 3] = ["mode", "templates", "volumes"];

#[derive(Deserialize)]
struct Update {
    volumes: Option<String>,
}

pub(super) async fn deployment_update(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    for volume in split_list(update.volumes.as_deref().unwrap_or_default()) {
        let parsed: Result<VolumeId, _> = volume.parse();
        parsed.map_err(|error| Error::invalid("volumes", error.to_string()))?;
    }
    update_settings(&op, &deployment_key(), &OPTIONS, &[]).await
}
