//! OCI images as archives, also such as no honest program writes.

use std::io::Write;

use aws_lc_rs::digest::{SHA256, digest};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// A tar archive that is being written.
#[derive(Default, Clone)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// A member of a kind (`0` file, `1` hard link, `2` link, `3` device, `5` folder), as it is named.
    #[must_use]
    pub fn member(mut self, path: &str, kind: u8, target: &str, content: &[u8]) -> Self {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, path.as_bytes());
        put(100, b"0000755\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(136, b"14524200000\0");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, target.as_bytes());
        put(257, b"ustar\x0000");
        put(329, b"0000001\0");
        put(337, b"0000003\0");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.member(path, b'0', "", content.as_ref())
    }

    #[must_use]
    pub fn folder(self, path: &str) -> Self {
        self.member(path, b'5', "", b"")
    }

    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.member(path, b'2', target, b"")
    }

    #[must_use]
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.member(path, b'1', target, b"")
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// `sha256:…`
pub fn digest_of(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    let digits: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{digits}")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// A layer: what is in it, how it is packed and what the image says of it.
#[derive(Clone)]
pub struct OciLayer {
    pub media_type: String,
    pub blob: Vec<u8>,
    pub diff_id: String,
}

impl OciLayer {
    pub fn plain(content: Tar) -> Self {
        let content = content.end();
        Self {
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            diff_id: digest_of(&content),
            blob: content,
        }
    }

    pub fn gzipped(content: Tar) -> Self {
        let plain = Self::plain(content);
        Self {
            media_type: format!("{}+gzip", plain.media_type),
            blob: gzip(&plain.blob),
            diff_id: plain.diff_id,
        }
    }
}

/// The archive of an image with these layers and this `config`.
pub fn oci_archive(config: &Value, layers: &[OciLayer]) -> Vec<u8> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    oci_archive_for(arch, config, layers)
}

/// The same, for an architecture; its index names another index.
pub fn oci_archive_for(arch: &str, config: &Value, layers: &[OciLayer]) -> Vec<u8> {
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let config = json!({
        "architecture": arch, "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let mut blobs = Vec::new();
    let mut named = |media_type: &str, content: Vec<u8>| {
        let digest = digest_of(&content);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": content.len()});
        blobs.push((digest.replace(':', "/"), content));
        descriptor
    };
    let config = named(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().into_bytes(),
    );
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| named(&layer.media_type, layer.blob.clone()))
        .collect();
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let mut manifest = named(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().into_bytes(),
    );
    manifest["platform"] = json!({"architecture": arch, "os": "linux"});
    let other = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2,
        "digest": digest_of(b"{}"), "platform": {"architecture": "s390x", "os": "linux"},
    });
    let inner = json!({"schemaVersion": 2, "manifests": [other, manifest]});
    let inner = named(
        "application/vnd.oci.image.index.v1+json",
        inner.to_string().into_bytes(),
    );
    let index = json!({"schemaVersion": 2, "manifests": [inner]});
    let mut tar = Tar::default().folder("blobs/").folder("blobs/sha256/");
    for (name, content) in blobs {
        tar = tar.file(&format!("blobs/{name}"), content);
    }
    tar.file("index.json", index.to_string())
        .file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
        .end()
}
