//! The archive of an image: its index, and the blobs that manifests name by their digests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::Deserialize;

use super::blob::{Compression, Digest, Layer};
use super::config::ImageConfig;
use super::tar::{Kind, Reader, Seeking};
use super::{Entry, ImageError};

/// The largest index, manifest or configuration.
const LARGEST_TEXT: u64 = 4 << 20;

/// How deep an index may name others.
const DEEPEST: usize = 4;

/// The most members of an archive: a layer and its neighbours, some times over.
const MOST_MEMBERS: usize = 10_000;

/// What an index or a manifest says of a blob.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// An index has `manifests`, a manifest the others.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// An image: its configuration, and its layers from the lowest on.
pub(super) struct Image {
    pub(super) config: ImageConfig,
    pub(super) layers: Vec<Layer>,
}

/// An archive with the members that images have.
pub(super) struct Archive {
    file: File,
    /// Where the content of each is, and its length.
    members: BTreeMap<String, (u64, u64)>,
}

fn damaged(error: io::Error) -> ImageError {
    match error.kind() {
        io::ErrorKind::InvalidData => ImageError::refused(format!("in its archive, {error}")),
        _ => ImageError::Read(error),
    }
}

impl Archive {
    /// None for an archive that is no image.
    pub(super) fn open(file: File) -> Result<Option<Self>, ImageError> {
        let length = file.metadata().map_err(ImageError::Read)?.len();
        let mut members = BTreeMap::new();
        let mut is_layout = false;
        let from = file.try_clone().map_err(ImageError::Read)?;
        let mut reader = Reader::new(Seeking { from, length });
        loop {
            let entry = match reader.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                // A template of another kind, for tar to judge.
                Err(_) if !is_layout && !members.contains_key("index.json") => return Ok(None),
                Err(error) => return Err(damaged(error)),
            };
            let Entry {
                path, kind, size, ..
            } = entry;
            is_layout |= path == "oci-layout";
            let is_ours = path == "index.json" || path.starts_with("blobs/");
            if !is_ours || kind != Kind::File {
                continue;
            }
            let at = reader.from.from.stream_position();
            members.insert(path, (at.map_err(ImageError::Read)?, size));
            if members.len() > MOST_MEMBERS {
                return Err(ImageError::refused("its archive has too many members"));
            }
        }
        let is_image = is_layout && members.contains_key("index.json");
        Ok(is_image.then_some(Self { file, members }))
    }

    fn content(&mut self, name: &str) -> Result<io::Take<File>, ImageError> {
        let missing = || ImageError::refused(format!("its archive has no '{name}'"));
        let (at, length) = *self.members.get(name).ok_or_else(missing)?;
        let mut file = self.file.try_clone().map_err(ImageError::Read)?;
        file.seek(SeekFrom::Start(at)).map_err(ImageError::Read)?;
        Ok(file.take(length))
    }

    /// The bytes of a blob, not yet held against its digest.
    pub(super) fn blob(&mut self, digest: &Digest) -> Result<io::Take<File>, ImageError> {
        self.content(&digest.blob())
    }

    fn text(&mut self, name: &str) -> Result<Vec<u8>, ImageError> {
        let content = self.content(name)?;
        if content.limit() > LARGEST_TEXT {
            return Err(ImageError::refused(format!("'{name}' is too large")));
        }
        let mut text = Vec::new();
        let mut content = content;
        content.read_to_end(&mut text).map_err(ImageError::Read)?;
        Ok(text)
    }

    /// A document that is named by its digest.
    fn document<T: serde::de::DeserializeOwned>(
        &mut self,
        named: &Descriptor,
    ) -> Result<T, ImageError> {
        let digest = Digest::parse(&named.digest)?;
        let text = self.text(&digest.blob())?;
        if text.len() as u64 != named.size {
            let why = format!("{digest} has {} bytes, not {}", text.len(), named.size);
            return Err(ImageError::refused(why));
        }
        let mut context = digest.context();
        context.update(&text);
        digest.check(context)?;
        parse(&text, &named.digest)
    }

    /// The image for an architecture.
    pub(super) fn image(&mut self, arch: &str) -> Result<Image, ImageError> {
        let text = self.text("index.json")?;
        let index: Document = parse(&text, "index.json")?;
        let manifest = self.manifest(index, arch, 0)?;
        let none = || ImageError::refused("its manifest names no configuration");
        let config: ImageConfig = self.document(&manifest.config.ok_or_else(none)?)?;
        if config.os != "linux" {
            let why = format!("it is for '{}', not for Linux", config.os.escape_debug());
            return Err(ImageError::refused(why));
        }
        if config.architecture != arch {
            let other = config.architecture.escape_debug();
            let why = format!("it is for processors of '{other}', and this node has '{arch}'");
            return Err(ImageError::refused(why));
        }
        let contents = &config.rootfs.diff_ids;
        if contents.len() != manifest.layers.len() {
            let why = "its manifest and its configuration name different numbers of layers";
            return Err(ImageError::refused(why));
        }
        let pairs = manifest.layers.iter().zip(contents);
        let layers = pairs.map(|(layer, content)| {
            Ok(Layer {
                blob: Digest::parse(&layer.digest)?,
                size: layer.size,
                compression: Compression::of(&layer.media_type)?,
                content: Digest::parse(content)?,
            })
        });
        let layers = layers.collect::<Result<_, ImageError>>()?;
        Ok(Image { config, layers })
    }

    /// The first manifest that is for the architecture, or that does not say what it is for.
    fn manifest(
        &mut self,
        document: Document,
        arch: &str,
        depth: usize,
    ) -> Result<Document, ImageError> {
        if document.config.is_some() {
            return Ok(document);
        }
        if depth >= DEEPEST {
            return Err(ImageError::refused("its indexes are too deep"));
        }
        let fits = |named: &&Descriptor| match &named.platform {
            None => true,
            Some(platform) => platform.architecture == arch && platform.os == "linux",
        };
        let has = |named: &Descriptor| named.platform.as_ref().map(|p| p.architecture.clone());
        let Some(named) = document.manifests.iter().find(fits) else {
            let others: Vec<String> = document.manifests.iter().filter_map(has).collect();
            let others = others.join(", ");
            let why = format!(
                "it has no manifest for '{arch}' ({})",
                others.escape_debug()
            );
            return Err(ImageError::refused(why));
        };
        let next: Document = self.document(named)?;
        self.manifest(next, arch, depth + 1)
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8], name: &str) -> Result<T, ImageError> {
    serde_json::from_slice(text)
        .map_err(|error| ImageError::refused(format!("'{name}' cannot be read: {error}")))
}
