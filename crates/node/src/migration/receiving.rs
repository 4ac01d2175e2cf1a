//! Volumes that are made of what another node sends.

use guest::lxc::CtConfig;
use model::{BlockFormat, VolumeId};
use storage::Attacher;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::image::TEXT;
use super::{image, tree};
use crate::NodeContext;

/// A volume to be made of what is received.
pub(super) struct Receiving {
    pub(super) volume: VolumeId,
    pub(super) bytes: u64,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Image(BlockFormat),
    /// A directory of a container of this configuration.
    Tree(Box<CtConfig>),
}

/// Makes a volume, and answers how that went.
pub(super) async fn receive(
    node: &NodeContext,
    socket: UnixStream,
    receiving: &Receiving,
    by: &Attacher,
) {
    let (mut reader, mut writer) = socket.into_split();
    let Receiving {
        volume,
        bytes,
        shape,
    } = receiving;
    let made = match shape {
        Shape::Image(format) => image::make(node, &mut reader, volume, (*format, *bytes), by).await,
        Shape::Tree(config) => tree::make(node, &mut reader, volume, *bytes, config, by).await,
    };
    let text = match made {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    };
    let text = &text.as_bytes()[..text.len().min(TEXT)];
    // A source that is gone needs no answer.
    let _ = writer.write_u32(text.len() as u32).await;
    let _ = writer.write_all(text).await;
}
