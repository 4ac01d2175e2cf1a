//! What distribution and architecture a tree is of.

use std::io;

use model::lxc::OS_TYPES;

use super::{SetupError, Tree, read_text};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detected {
    pub os_type: String,
    pub arch: String,
    pub warnings: Vec<String>,
}

/// Files that only one family has, for systems without `os-release`.
const SIGNS: [(&str, &str); 13] = [
    ("/etc/devuan_version", "devuan"),
    ("/etc/debian_version", "debian"),
    ("/etc/SuSE-brand", "opensuse"),
    ("/etc/SuSE-release", "opensuse"),
    ("/etc/fedora-release", "fedora"),
    ("/etc/centos-release", "centos"),
    ("/etc/redhat-release", "centos"),
    ("/etc/arch-release", "archlinux"),
    ("/etc/alpine-release", "alpine"),
    ("/etc/gentoo-release", "gentoo"),
    ("/nix/store", "nixos"),
    ("/etc/openEuler-release", "centos"),
    ("/etc/NIXOS", "nixos"),
];

/// Detects what a tree is. `said` is what the caller takes it for: another finding is a warning.
pub fn detect(tree: &dyn Tree, said: Option<&str>) -> Result<Detected, SetupError> {
    let failed = |source| SetupError::Step {
        step: "detect",
        source,
    };
    if said == Some("unmanaged") {
        return Ok(Detected {
            os_type: "unmanaged".to_owned(),
            arch: arch(tree).map_err(failed)?,
            warnings: Vec::new(),
        });
    }
    let found = os_type(tree).map_err(failed)?;
    let mut warnings = Vec::new();
    if let (Some(said), Some(found)) = (said, &found)
        && said != found
    {
        warnings.push(format!("got unexpected ostype ({said} != {found})"));
    }
    let found = found.or_else(|| said.map(str::to_owned));
    Ok(Detected {
        os_type: found.ok_or(SetupError::UnknownSystem)?,
        arch: arch(tree).map_err(failed)?,
        warnings,
    })
}

/// None where there is `os-release`, but of a system that is not known.
fn os_type(tree: &dyn Tree) -> io::Result<Option<String>> {
    let mut release = None;
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        release = read_text(tree, path)?;
        if release.is_some() {
            break;
        }
    }
    let id = release.as_deref().and_then(id_of);
    if let Some(known) = id.as_deref().and_then(family) {
        return Ok(Some(known.to_owned()));
    }
    for (path, family) in SIGNS {
        if tree.exists(path)? {
            return Ok(Some(family.to_owned()));
        }
    }
    // Without any sign it is not known how its files are to be written.
    Ok(release.is_none().then(|| "unmanaged".to_owned()))
}

fn id_of(release: &str) -> Option<String> {
    let id = release.lines().find_map(|line| line.strip_prefix("ID="))?;
    Some(id.trim().trim_matches(['"', '\'']).to_ascii_lowercase())
}

fn family(id: &str) -> Option<&str> {
    match id {
        "opensuse-leap" | "opensuse-tumbleweed" | "opensuse-slowroll" | "sles" => Some("opensuse"),
        "arch" => Some("archlinux"),
        "rocky" | "almalinux" | "openeuler" => Some("centos"),
        id => OS_TYPES
            .iter()
            .copied()
            .find(|known| *known == id && *known != "unmanaged"),
    }
}

/// By the header of its shell (elf(5)); `amd64` where there is none.
fn arch(tree: &dyn Tree) -> io::Result<String> {
    let shell = tree.read("/bin/sh")?.unwrap_or_default();
    let is_elf = shell.starts_with(b"\x7fELF") && shell.len() > 20;
    let is_64_bit = shell.get(4) == Some(&2);
    let machine = shell.get(18..20).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let arch = match (machine, is_64_bit) {
        _ if !is_elf => "amd64",
        (Some(3), _) => "i386",
        (Some(40), _) => "armhf",
        (Some(183), _) => "arm64",
        (Some(243), true) => "riscv64",
        (Some(243), false) => "riscv32",
        _ => "amd64",
    };
    Ok(arch.to_owned())
}
