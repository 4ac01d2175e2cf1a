//! `POST /nodes/{node}/storage/{storage}/upload`
//!
//! ```text
//!   api                                    agent
//!   Ask::Stream ─────────────────────────► open:          everything but the content is checked
//!   writes ◄── descriptor, tmpfilename ─── a file without a name on the storage
//!   Ask::Do with tmpfilename ────────────► volume_upload: the task imgcopy
//! ```
//!
//! `tmpfilename` is a parameter of the schema, in which Proxmox VE's proxy passes the file to its
//! daemon. Here it is an id that only the agent and the api know.

use model::{Error, StorageId, VolumeId};
use node::tasks::VolumeUpload;
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use serde_json::json;
use storage::{Checksum, ChecksumAlgorithm};
use sys::UploadFile;
use uuid::Uuid;

use super::storage_upload::{file_volume, files_of};
use crate::ops::Op;

/// The prefix that the schema requires of `tmpfilename`.
const PREFIX: &str = "/var/tmp/pveupload-";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Upload {
    storage: StorageId,
    content: String,
    filename: String,
    checksum: Option<String>,
    checksum_algorithm: Option<ChecksumAlgorithm>,
    tmpfilename: Option<String>,
}

/// Checks everything but the content, and answers the file to write it to.
pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let wanted: Upload = op.params()?;
    let node = &op.context.node;
    let storage = node.storage(&wanted.storage).await?;
    volume(&wanted, &*storage)?;
    storage.activate().await?;
    let folder = files_of(&*storage)?.root();
    let file = node.host.create_unnamed(folder).await?;
    let (upload, given) = UploadFile::new(file)?;
    let id = Uuid::new_v4().simple().to_string();
    let answer = Answer::new(json!({"tmpfilename": format!("{PREFIX}{id}")}));
    node.uploads.open(id, wanted.storage, upload)?;
    Ok(Streamed {
        answer,
        descriptor: given,
        held: None,
    })
}

/// Turns the uploaded file into a volume, by a task.
pub(super) async fn volume_upload(op: Op) -> Result<Answer, Error> {
    let upload: Upload = op.params()?;
    let node = op.context.node.clone();
    let volume = volume(&upload, &*node.storage(&upload.storage).await?)?;
    let id = upload
        .tmpfilename
        .as_deref()
        .and_then(|name| name.strip_prefix(PREFIX));
    let id = id
        .ok_or_else(|| Error::invalid("tmpfilename", "an upload is sent as multipart/form-data"))?;
    let checksum = upload
        .checksum
        .zip(upload.checksum_algorithm)
        .map(|(expected, algorithm)| Checksum {
            algorithm,
            expected,
        });
    node.uploads.claim(id, &upload.storage)?;
    let task = VolumeUpload::new(id.to_owned(), volume, checksum);
    let submitted = op.context.submit(&op, "", task).await;
    if submitted.is_err() {
        node.uploads.forget(id);
    }
    submitted
}

fn volume(upload: &Upload, storage: &dyn storage::Storage) -> Result<VolumeId, Error> {
    file_volume(storage, &upload.content, &upload.filename)
}
