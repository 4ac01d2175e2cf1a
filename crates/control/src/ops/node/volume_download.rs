//! `POST /nodes/{node}/storage/{storage}/download-url`

use model::{Error, StorageId};
use node::tasks::VolumeDownload;
use proto::wire::Answer;
use serde::Deserialize;
use storage::{Checksum, ChecksumAlgorithm};

use super::storage_upload::{file_of, file_volume};
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Download {
    storage: StorageId,
    content: String,
    filename: String,
    url: String,
    checksum: Option<String>,
    checksum_algorithm: Option<ChecksumAlgorithm>,
    verify_certificates: Option<bool>,
}

pub(super) async fn volume_download(op: Op) -> Result<Answer, Error> {
    let wanted: Download = op.params()?;
    let storage = op.context.node.storage(&wanted.storage).await?;
    let volume = file_volume(&*storage, &wanted.content, &wanted.filename)?;
    let checksum = wanted
        .checksum
        .zip(wanted.checksum_algorithm)
        .map(|(expected, algorithm)| Checksum {
            algorithm,
            expected,
        });
    let file_name = file_of(&volume);
    let verify = wanted.verify_certificates != Some(false);
    let task = VolumeDownload::new(wanted.url, verify, volume, checksum);
    op.context.submit(&op, file_name, task).await
}
