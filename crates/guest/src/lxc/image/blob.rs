//! The digests by which an image names its blobs, and what it says of layers.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, SHA512};

use super::ImageError;

/// An algorithm and the hash in hexadecimal digits: `sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest(String);

impl Digest {
    pub(super) fn parse(text: &str) -> Result<Self, ImageError> {
        let is_digits = |hash: &str| {
            hash.bytes()
                .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
        };
        match text.split_once(':') {
            Some(("sha256", hash)) if hash.len() == 64 && is_digits(hash) => {}
            Some(("sha512", hash)) if hash.len() == 128 && is_digits(hash) => {}
            _ => {
                let shown: String = text.chars().take(200).collect();
                let why = format!("'{}' is no digest", shown.escape_debug());
                return Err(ImageError::refused(why));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The name of its blob in an archive.
    pub(super) fn blob(&self) -> String {
        format!("blobs/{}", self.0.replacen(':', "/", 1))
    }

    pub(super) fn context(&self) -> Context {
        Context::new(match self.0.starts_with("sha512:") {
            true => &SHA512,
            false => &SHA256,
        })
    }

    pub(super) fn check(&self, context: Context) -> Result<(), ImageError> {
        let found = context.finish();
        let found: String = found.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        match self
            .0
            .split_once(':')
            .is_some_and(|(_, hash)| hash == found)
        {
            true => Ok(()),
            false => Err(ImageError::refused(format!(
                "the content of {self} has another digest"
            ))),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A layer, as manifest and configuration describe it.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) blob: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
    /// The digest of what the blob contains.
    pub(super) content: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the media type, which Docker's manifests write in another way.
    pub(super) fn of(media_type: &str) -> Result<Self, ImageError> {
        Ok(match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Self::None,
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Self::Gzip,
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Self::Zstd,
            other => {
                let shown: String = other.chars().take(200).collect();
                let why = format!("layers of type '{}' are not known", shown.escape_debug());
                return Err(ImageError::refused(why));
            }
        })
    }
}
