//! `POST /ostler/nodes/{node}/volume-import`

use model::Error;
use node::tasks::{ImportRules, VolumeImport, VolumeImportFile};
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use storage::ContentType;

use super::volume_streams::{Travel, Traveller, lend};
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Import {
    allow_rename: Option<bool>,
    delete_snapshot: Option<String>,
    verify: Option<bool>,
}

async fn checked(op: &Op) -> Result<(Travel, Traveller), Error> {
    let travel: Travel = op.params()?;
    let traveller = travel.traveller(op).await?;
    let Traveller { volume, named } = &traveller;
    let storage = op.context.node.storage(volume.storage()).await?;
    if !storage.config().takes(named.content) {
        let (id, content) = (volume.storage(), named.content.as_str());
        let text = format!("storage '{id}' does not support content-type '{content}'");
        return Err(Error::conflict(text));
    }
    if named.is_base || named.base.is_some() {
        let text = format!(
            "'{volume}' is the name of a base or a linked clone: what is imported is neither"
        );
        return Err(Error::invalid("volume", text));
    }
    if named.content == ContentType::Images && named.owner.is_none() {
        let text = format!(
            "volumes of storage '{}' are made at its target",
            volume.storage()
        );
        return Err(Error::conflict(text));
    }
    storage.activate().await?;
    let may_rename = op.params::<Import>()?.allow_rename == Some(true) && named.owner.is_some();
    if !may_rename && storage.stat(volume.name()).await?.is_some() {
        return Err(Error::conflict(format!("volume '{volume}' already exists")));
    }
    Ok((travel, traveller))
}

/// Checks everything but the content, and answers the stream to send it in.
pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let (_, traveller) = checked(&op).await?;
    lend(&op, traveller.volume)
}

/// Makes the volume of what comes in the stream, by a task.
pub(super) async fn volume_import(op: Op) -> Result<Answer, Error> {
    let (travel, traveller) = checked(&op).await?;
    let Import {
        allow_rename,
        delete_snapshot,
        verify,
    } = op.params()?;
    let Traveller { volume, named } = traveller;
    let stream = travel.stream()?.to_owned();
    let streams = &op.context.node.streams;
    streams.claim(&stream, &volume)?;
    let submitted = match (named.content, named.owner) {
        (ContentType::Images | ContentType::Rootdir, Some(owner)) => {
            let rules = ImportRules {
                may_rename: allow_rename == Some(true),
                delete_snapshot,
                verifies: verify == Some(true),
            };
            let new = (volume, owner, named.image_format);
            let task = VolumeImport::new(new, travel.format, stream.clone(), rules);
            op.context.submit(&op, "", task).await
        }
        _ => {
            let task = VolumeImportFile::new(volume, stream.clone());
            op.context.submit(&op, "", task).await
        }
    };
    if submitted.is_err() {
        streams.forget(&stream);
    }
    submitted
}
