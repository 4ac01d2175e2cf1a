//! `POST /nodes/{node}/storage/{storage}/content/{volume}`

use model::{Error, NodeName, VolumeId};
use node::tasks::{NewImage, VolumeCopy, VolumeCopyFile};
use proto::wire::Answer;
use serde::Deserialize;
use storage::{ContentType, VolumeName};

use super::storage_volumes::{Named, find, read_name};
use crate::ops::Op;

#[derive(Deserialize)]
struct Copy {
    /// With its storage, or below the original's.
    target: String,
    target_node: Option<NodeName>,
}

pub(super) async fn volume_copy(op: Op) -> Result<Answer, Error> {
    let from = Named::of(&op)?;
    let Copy {
        target,
        target_node,
    } = op.params()?;
    let to = match target.contains(':') {
        true => target.parse(),
        false => VolumeId::new(from.storage().clone(), target),
    };
    let to = to.map_err(|error| Error::invalid("target", error.to_string()))?;
    let of = read_name(&op, &from).await?;
    find(&op, &from).await?;
    check_node(&op, &to, target_node.as_ref()).await?;
    let storage = op.context.node.storage(to.storage()).await?;
    let named = storage.config().parse(to.name())?;
    let content = named.content;
    if !storage.config().takes(content) {
        let (id, content) = (to.storage(), content.as_str());
        let text = format!("storage '{id}' does not support content-type '{content}'");
        return Err(Error::conflict(text));
    }
    match (of.content, content) {
        (ContentType::Images, ContentType::Images) => {
            let image = new_image(to, &named)?;
            let task = VolumeCopy::new(from, of.owner, image);
            op.context.submit(&op, "", task).await
        }
        (ContentType::Rootdir, _) | (_, ContentType::Rootdir) => Err(Error::conflict(
            "directories of containers are not copied: clone the container, or move its volume",
        )),
        (same, other) if same == other && same != ContentType::Images => {
            let task = VolumeCopyFile::new(from, to);
            op.context.submit(&op, "", task).await
        }
        (one, other) => {
            let (one, other) = (one.as_str(), other.as_str());
            let text = format!("'{from}' is of content-type '{one}', '{to}' of '{other}'");
            Err(Error::invalid("target", text))
        }
    }
}

/// What is copied is made by this node; another one sees it on a storage that both have.
async fn check_node(op: &Op, to: &VolumeId, target: Option<&NodeName>) -> Result<(), Error> {
    let Some(target) = target.filter(|target| **target != op.context.node.name) else {
        return Ok(());
    };
    let invalid = |text: String| Err(Error::invalid("target_node", text));
    let id = to.storage();
    let entry = op.records.storage(id).await?;
    if !entry.config.spec.is_shared() {
        return invalid(format!(
            "storage '{id}' is not shared: copies to a storage of another node are not supported by this version of Ostler"
        ));
    }
    match entry.config.is_enabled_on(target) {
        true => Ok(()),
        false => invalid(format!(
            "storage '{id}' is not available on node '{target}'"
        )),
    }
}

/// The image that a name stands for, if one can be made under it.
fn new_image(volume: VolumeId, named: &VolumeName) -> Result<NewImage, Error> {
    let (Some(owner), Some(format)) = (named.owner, named.image_format) else {
        let text = format!("'{volume}' is no name for a guest's image");
        return Err(Error::invalid("target", text));
    };
    if named.is_base || named.base.is_some() {
        let text = format!("'{volume}' is the name of a base or a linked clone: a copy is neither");
        return Err(Error::invalid("target", text));
    }
    Ok(NewImage {
        volume,
        owner,
        format,
    })
}
