//! What exports and imports of volumes share.
//!
//! ```text
//!   command line                           agent
//!   Ask::Stream ─────────────────────────► open:   everything but the content is checked
//!   ◄── descriptor of a socket, stream ───
//!   Ask::Do with stream ─────────────────► the task, which reads or writes the other end
//! ```

use model::{Error, VolumeId};
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use serde_json::json;
use storage::{StorageConfig, StreamFormat, VolumeName};

use crate::ops::Op;

/// The parameters of both.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StreamParams {
    volume: String,
    pub(super) format: StreamFormat,
    with_snapshots: Option<bool>,
    stream: Option<String>,
}

/// A volume, and what its storage says of the name.
pub(super) struct NamedVolume {
    pub(super) volume: VolumeId,
    pub(super) named: VolumeName,
}

impl StreamParams {
    /// The stream that was opened before.
    pub(super) fn stream(&self) -> Result<&str, Error> {
        let missing = || {
            let text = "a stream is opened by the command line: see pvesm";
            Error::invalid("stream", text)
        };
        self.stream.as_deref().ok_or_else(missing)
    }

    pub(super) async fn named_volume(&self, op: &Op) -> Result<NamedVolume, Error> {
        let invalid = |error: model::IdError| Error::invalid("volume", error.to_string());
        let volume: VolumeId = self.volume.parse().map_err(invalid)?;
        let storage = op.context.node.storage(volume.storage()).await?;
        let named = storage.config().parse(volume.name())?;
        self.check_format(storage.config(), &volume, &named)?;
        Ok(NamedVolume { volume, named })
    }

    fn check_format(
        &self,
        storage: &StorageConfig,
        volume: &VolumeId,
        named: &VolumeName,
    ) -> Result<(), Error> {
        let kind = storage.spec.kind();
        let with_snapshots = self.with_snapshots == Some(true);
        let possible = kind.stream(named, with_snapshots);
        if possible == Some(self.format) {
            return Ok(());
        }
        let possible = possible.map_or("none", StreamFormat::as_str);
        let with = if with_snapshots { "with" } else { "without" };
        let (format, kind) = (self.format, kind.as_str());
        let reason = format!(
            "'{volume}' on a storage of type '{kind}' has no stream '{format}' {with} snapshots: there is {possible}"
        );
        Err(Error::invalid("format", reason))
    }
}

/// Opens a stream, and gives the caller one end of it.
pub(super) fn open_stream(op: &Op, volume: VolumeId) -> Result<Streamed, Error> {
    let (id, descriptor, lent) = op.context.node.streams.open(volume)?;
    Ok(Streamed {
        answer: Answer::new(json!({"stream": id})),
        descriptor,
        held: Some(Box::new(lent)),
    })
}
