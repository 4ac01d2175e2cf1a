//! `POST /nodes/{node}/storage/{storage}/oci-registry-pull`

use model::{Error, StorageId};
use node::tasks::VolumePull;
use proto::wire::Answer;
use serde::Deserialize;

use super::storage_upload::{file_of, file_volume, plain};
use crate::ops::Op;

/// What images are stored as.
const ENDING: &str = ".tar";

#[derive(Deserialize)]
struct Pull {
    storage: StorageId,
    reference: String,
    filename: Option<String>,
}

pub(super) async fn volume_pull(op: Op) -> Result<Answer, Error> {
    let wanted: Pull = op.params()?;
    let storage = op.context.node.storage(&wanted.storage).await?;
    let name = wanted.filename.as_deref().unwrap_or(&wanted.reference);
    let volume = file_volume(&*storage, "vztmpl", &file_name(name))?;
    let file_name = file_of(&volume);
    let task = VolumePull::new(wanted.reference, volume);
    op.context.submit(&op, file_name, task).await
}

/// The file of an image: what is given, or the last part of its name with the tag.
fn file_name(name: &str) -> String {
    let plain = plain(name);
    format!("{}{ENDING}", plain.strip_suffix(ENDING).unwrap_or(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_images() {
        for (name, expected) in [
            ("docker.io/library/nginx:1.27", "nginx_1.27.tar"),
            ("127.0.0.1:5000/team/app:v1", "app_v1.tar"),
            ("mine", "mine.tar"),
            ("mine.tar", "mine.tar"),
            ("../../my file", "my_file.tar"),
        ] {
            assert_eq!(file_name(name), expected);
        }
    }
}
