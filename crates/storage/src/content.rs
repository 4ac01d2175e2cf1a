//! Kinds of volumes.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentType {
    /// Disks of virtual machines.
    Images,
    /// Disks of containers.
    Rootdir,
    /// Container templates.
    Vztmpl,
    Iso,
    Backup,
    Snippets,
    /// Disk images and appliances to be imported.
    Import,
}

impl ContentType {
    pub const ALL: [Self; 7] = [
        Self::Images,
        Self::Rootdir,
        Self::Vztmpl,
        Self::Iso,
        Self::Backup,
        Self::Snippets,
        Self::Import,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Rootdir => "rootdir",
            Self::Vztmpl => "vztmpl",
            Self::Iso => "iso",
            Self::Backup => "backup",
            Self::Snippets => "snippets",
            Self::Import => "import",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|content| content.as_str() == name)
    }

    /// The endings that files of this kind have; empty for what is no file that people name.
    /// Source: the naming rules of Proxmox VE's directory storage.
    pub fn file_endings(self) -> &'static [&'static str] {
        match self {
            Self::Images | Self::Rootdir | Self::Backup => &[],
            Self::Iso => &[".iso", ".img"],
            Self::Vztmpl => &[".tar.gz", ".tar.xz", ".tar.zst", ".tar"],
            Self::Snippets => &[""],
            Self::Import => &[".qcow2", ".raw", ".vmdk", ".ova", ".ovf"],
        }
    }
}
