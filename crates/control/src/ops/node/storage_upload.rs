//! `POST /nodes/{node}/storage/{storage}/upload`
//!
//! ```text
//!   api                                    agent
//!   Ask::Stream ─────────────────────────► open: everything but the content is checked
//!   writes ◄── descriptor, tmpfilename ─── a file without a name on the storage
//!   Ask::Do with tmpfilename ────────────► finish: the task imgcopy
//! ```
//!
//! `tmpfilename` is a parameter of the schema, by which Proxmox VE's own front hands its file
//! to its back. Here it carries an id that only the agent and the api know.

use std::path::Path;

use model::{Error, StorageId, VolumeId};
use node::tasks::VolumeUpload;
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use serde_json::json;
use storage::{Checksum, ChecksumAlgorithm, ContentType};
use sys::Lent;
use uuid::Uuid;

use crate::ops::Op;

/// What the schema wants `tmpfilename` to begin with.
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

/// Checks what can be checked before the content, and answers where to write it to.
pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let upload: Upload = op.params()?;
    let node = &op.context.node;
    let storage = node.storage(&upload.storage).await?;
    volume(&upload, &*storage)?;
    storage.activate().await?;
    let file = node
        .host
        .create_unnamed(Path::new(&storage.config().path))
        .await?;
    let (lent, given) = Lent::new(file)?;
    let id = Uuid::new_v4().simple().to_string();
    let answer = Answer::new(json!({"tmpfilename": format!("{PREFIX}{id}")}));
    node.uploads.open(id, upload.storage, lent)?;
    Ok(Streamed {
        answer,
        descriptor: given,
        held: None,
    })
}

/// Makes the file that was written a volume, by a task.
pub(super) async fn finish(op: Op) -> Result<Answer, Error> {
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

/// The volume that a file of this name will be.
pub(super) fn file_volume(
    storage: &dyn storage::Storage,
    content: &str,
    file_name: &str,
) -> Result<VolumeId, Error> {
    let id = &storage.config().id;
    let kind = ContentType::from_name(content)
        .ok_or_else(|| Error::invalid("content", "unknown content type"))?;
    if !storage.config().takes(kind) {
        let text = format!("storage '{id}' does not support '{content}' content");
        return Err(Error::conflict(text));
    }
    let files = storage
        .files()
        .ok_or_else(|| Error::conflict(format!("cant upload to storage '{id}'")))?;
    let wrong = |_| Error::invalid("filename", "wrong file extension");
    let name = files.file_volume(kind, &plain(file_name)).map_err(wrong)?;
    VolumeId::new(id.clone(), name).map_err(|error| Error::invalid("filename", error.to_string()))
}

/// A file name as Proxmox VE keeps it: without the folders that some browsers send along, and
/// with `_` for everything that is no letter, digit, `.`, `_` or `-`.
fn plain(name: &str) -> String {
    let name = name.trim_end_matches(['\r', '\n']);
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    last.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_folders_and_what_is_strange() {
        for (name, expected) in [
            ("debian-12.5.0_amd64.iso", "debian-12.5.0_amd64.iso"),
            ("C:\\Users\\jane\\my disk.iso", "my_disk.iso"),
            ("../../etc/passwd", "passwd"),
            ("übung.iso", "_bung.iso"),
            ("a/", ""),
            ("x.iso\n", "x.iso"),
        ] {
            assert_eq!(plain(name), expected, "{name}");
        }
    }
}
