//! Images that are open for a program: each was opened once, by us, and the program is fenced in
//! with the very files of the descriptors.
//!
//! ```text
//!   BlockSpec ──open──► Opened ─┬─ filename()   json:{"driver":"qcow2","file":…,"backing":…}
//!   (what the name says)        └─ inside()     Fence { files }
//! ```
//!
//! What an image says of its base is never taken from its header, and one that has its data in
//! other files is refused.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{BlockFormat, BlockSource, BlockSpec};
use serde_json::{Value, json};
use sys::{Fence, SharedHost, SysError};

use crate::{ImageHeader, header_of};

/// An image with all that its name says it is a layer on, open.
#[derive(Debug, Clone)]
pub struct Opened {
    /// From the top.
    layers: Vec<Layer>,
    write: bool,
}

#[derive(Debug, Clone)]
struct Layer {
    /// What it is called in logs.
    path: PathBuf,
    /// QEMU's node for where it is.
    node: Value,
    format: BlockFormat,
    /// The image, or what says how QEMU reaches it.
    file: Option<(PathBuf, Arc<OwnedFd>)>,
    is_remote: bool,
    header: ImageHeader,
}

impl Opened {
    /// Opens an image with its layers, of which only the first is ever written.
    pub async fn open(host: &SharedHost, spec: &BlockSpec, write: bool) -> Result<Self, SysError> {
        let mut layers = Vec::new();
        for layer in spec.layers() {
            if let Some(layer) = Layer::remote(host, layer).await? {
                layers.push(layer);
                continue;
            }
            let Some(path) = layer.source.path() else {
                let text = "an image that is a descriptor already".to_owned();
                return Err(SysError::Unsupported(text));
            };
            let write = write && layers.is_empty();
            let file = host.open_image(path.as_ref(), write, false).await?;
            layers.push(Layer::new(host, &layer.source, layer.format, file).await?);
        }
        Ok(Self { layers, write })
    }

    /// An image without layers that is open already, to be read.
    pub async fn of(
        host: &SharedHost,
        path: &Path,
        format: BlockFormat,
        file: Arc<OwnedFd>,
    ) -> Result<Self, SysError> {
        let source = BlockSource::at(path.display().to_string());
        Ok(Self {
            layers: vec![Layer::new(host, &source, format, file).await?],
            write: false,
        })
    }

    fn top(&self) -> Option<&Layer> {
        self.layers.first()
    }

    /// What a guest sees of it, in bytes.
    pub fn virtual_size(&self) -> u64 {
        self.top().map_or(0, |top| top.header.virtual_size)
    }

    pub fn is_writable(&self) -> bool {
        self.write
    }

    pub fn format(&self) -> BlockFormat {
        self.top().map_or(BlockFormat::Raw, |top| top.format)
    }

    /// The file or device of an image that has no format and no layers: its bytes are what a guest
    /// sees.
    pub fn plain(&self) -> Option<&Arc<OwnedFd>> {
        let is_raw = self.format() == BlockFormat::Raw;
        self.only_file().filter(|_| is_raw)
    }

    /// The file of an image that has no layers below it and is on this host.
    pub fn only_file(&self) -> Option<&Arc<OwnedFd>> {
        let top = self.top().filter(|_| self.layers.len() == 1)?;
        let file = top.file.as_ref().filter(|_| !top.is_remote);
        file.map(|(_, file)| file)
    }

    pub fn path(&self) -> &Path {
        self.top().map_or(Path::new(""), |top| &top.path)
    }

    /// Whether its header says that it is a layer, of which its name knows nothing. Whatever it
    /// does not hold itself would be read as zeros.
    pub fn lacks_base(&self) -> bool {
        let says_so = self.top().is_some_and(|top| top.header.backing.is_some());
        says_so && self.layers.len() == 1
    }

    /// The image as QEMU's programs take it, with everything that they would look for otherwise.
    pub fn filename(&self) -> String {
        self.node(true)
    }

    /// The same for an image that a running guest has locked.
    pub fn filename_unlocked(&self) -> String {
        self.node(false)
    }

    fn node(&self, locked: bool) -> String {
        format!("json:{}", self.value(locked))
    }

    fn value(&self, locked: bool) -> Value {
        let node = self.layers.iter().rev().fold(Value::Null, |below, layer| {
            let mut node = json!({
                "driver": layer.format.as_str(),
                "file": layer.node,
            });
            if layer.format != BlockFormat::Raw {
                node["backing"] = below;
            }
            node
        });
        let mut node = node;
        if !locked && self.top().is_some_and(|top| !top.is_remote) {
            node["file"]["locking"] = "off".into();
        }
        node
    }

    /// The same, as a server of the block layer takes it under a name.
    pub fn node_named(&self, name: &str) -> String {
        let mut node = self.value(true);
        node["node-name"] = name.into();
        node["read-only"] = (!self.write).into();
        node.to_string()
    }

    /// A fence with its files inside, too.
    #[must_use]
    pub fn inside(&self, fence: Fence) -> Fence {
        let layers = self.layers.iter().enumerate();
        layers.fold(fence, |fence, (depth, layer)| {
            let write = self.write && depth == 0 && !layer.is_remote;
            let fence = match layer.is_remote {
                true => fence.network(),
                false => fence,
            };
            match &layer.file {
                Some((path, file)) => fence.file(path, file.clone(), write),
                None => fence,
            }
        })
    }
}

impl Layer {
    async fn new(
        host: &SharedHost,
        source: &BlockSource,
        format: BlockFormat,
        file: Arc<OwnedFd>,
    ) -> Result<Self, SysError> {
        let path = PathBuf::from(source.path().unwrap_or_default());
        let driver = match source {
            BlockSource::Device(_) | BlockSource::DeviceDescriptor(_) => "host_device",
            _ => "file",
        };
        let header = whole(host, &file, &path, format).await?;
        Ok(Self {
            node: json!({"driver": driver, "filename": path.display().to_string()}),
            file: Some((path.clone(), file)),
            path,
            format,
            is_remote: false,
            header,
        })
    }

    /// An image that is reached over the network, where this is one. What is open is the file that
    /// says how.
    async fn remote(host: &SharedHost, spec: &BlockSpec) -> Result<Option<Self>, SysError> {
        let Some(remote) = spec.source.remote() else {
            return Ok(None);
        };
        let mut node = remote.options;
        node.insert("driver".to_owned(), remote.driver.into());
        let file = match remote.conf.map(PathBuf::from) {
            Some(conf) => {
                let file = host.open_image(&conf, false, false).await?;
                Some((conf, file))
            }
            None => None,
        };
        Ok(Some(Self {
            path: remote.name.into(),
            node: Value::Object(node),
            format: spec.format,
            file,
            is_remote: true,
            header: ImageHeader::plain(remote.size),
        }))
    }
}

/// Refuses an open image that has its data in other files: a forged header may name any.
pub async fn check_whole(
    host: &SharedHost,
    file: &Arc<OwnedFd>,
    path: &Path,
    format: BlockFormat,
) -> Result<(), SysError> {
    match format {
        BlockFormat::Raw => Ok(()),
        _ => whole(host, file, path, format).await.map(drop),
    }
}

async fn whole(
    host: &SharedHost,
    file: &Arc<OwnedFd>,
    path: &Path,
    format: BlockFormat,
) -> Result<ImageHeader, SysError> {
    let header = header_of(host, file, path, format).await?;
    if header.has_data_elsewhere {
        let why = io::Error::new(io::ErrorKind::InvalidData, "it refers to other files");
        return Err(SysError::io("use", path, why));
    }
    Ok(header)
}
