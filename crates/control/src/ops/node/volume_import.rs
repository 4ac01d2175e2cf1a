//! `POST /ostler/nodes/{node}/volume-import`

use model::Error;
use node::tasks::{ImportRules, VolumeImport, VolumeImportFile};
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use storage::{ContentType, StreamFormat};

use super::volume_streams::{NamedVolume, StreamParams, open_stream};
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Import {
    allow_rename: Option<bool>,
    delete_snapshot: Option<String>,
    verify: Option<bool>,
}

impl Import {
    /// Refuses what would have no effect on a volume of this content.
    fn check(&self, content: ContentType, format: StreamFormat) -> Result<(), Error> {
        let is_image = content == ContentType::Images;
        let is_guests = is_image || content == ContentType::Rootdir;
        let (name, text) = match self {
            Self {
                verify: Some(true), ..
            } if !is_image || format != StreamFormat::Raw => {
                ("verify", "only an image from raw+size is read again")
            }
            Self {
                delete_snapshot: Some(_),
                ..
            } if format != StreamFormat::Qcow2 => (
                "delete-snapshot",
                "only an image from qcow2+size comes with snapshots",
            ),
            Self {
                allow_rename: Some(true),
                ..
            } if !is_guests => (
                "allow-rename",
                "only volumes of guests are given other names",
            ),
            _ => return Ok(()),
        };
        Err(Error::invalid(name, text))
    }
}

async fn checked(op: &Op) -> Result<(StreamParams, NamedVolume), Error> {
    let params: StreamParams = op.params()?;
    let found = params.named_volume(op).await?;
    let NamedVolume { volume, named } = &found;
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
    let wanted: Import = op.params()?;
    wanted.check(named.content, params.format)?;
    storage.activate().await?;
    let may_rename = wanted.allow_rename == Some(true);
    if !may_rename && storage.stat(volume.name()).await?.is_some() {
        return Err(Error::conflict(format!("volume '{volume}' already exists")));
    }
    Ok((params, found))
}

/// Checks everything but the content, and answers the stream to send it in.
pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let (_, found) = checked(&op).await?;
    open_stream(&op, found.volume)
}

/// Makes the volume of what comes in the stream, by a task.
pub(super) async fn volume_import(op: Op) -> Result<Answer, Error> {
    let (params, found) = checked(&op).await?;
    let Import {
        allow_rename,
        delete_snapshot,
        verify,
    } = op.params()?;
    let NamedVolume { volume, named } = found;
    let stream = params.stream()?.to_owned();
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
            let task = VolumeImport::new(new, params.format, stream.clone(), rules);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_effect_is_refused_by_name() {
        use ContentType::{Images, Iso, Rootdir};
        use StreamFormat::{Qcow2, Raw, Tar, Vmdk};
        let verify = || Import {
            allow_rename: None,
            delete_snapshot: None,
            verify: Some(true),
        };
        let rename = || Import {
            allow_rename: Some(true),
            verify: Some(false),
            ..verify()
        };
        let delete = || Import {
            allow_rename: Some(false),
            delete_snapshot: Some("x".to_owned()),
            verify: None,
        };
        for (wanted, content, format, refused) in [
            (verify(), Images, Raw, None),
            (verify(), Images, Qcow2, Some("verify")),
            (verify(), Images, Vmdk, Some("verify")),
            (verify(), Rootdir, Tar, Some("verify")),
            (verify(), Iso, Raw, Some("verify")),
            (rename(), Images, Raw, None),
            (rename(), Rootdir, Tar, None),
            (rename(), Iso, Raw, Some("allow-rename")),
            (delete(), Images, Qcow2, None),
            (delete(), Images, Vmdk, Some("delete-snapshot")),
            (delete(), Images, Raw, Some("delete-snapshot")),
            (delete(), Rootdir, Tar, Some("delete-snapshot")),
            (delete(), Iso, Raw, Some("delete-snapshot")),
        ] {
            let found = wanted.check(content, format);
            let found = found.err().map(|error| {
                assert!(error.fields.len() == 1, "{error}");
                error.fields.keys().next().cloned().unwrap_or_default()
            });
            assert_eq!(found.as_deref(), refused, "{content:?} {format}");
        }
    }
}
