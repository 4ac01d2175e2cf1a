//! Directories on disks of their own, which units of systemd mount below `/mnt/pve`.

use std::path::Path;

use model::Error;
use sys::SharedHost;

/// Where the units are.
pub(crate) const UNITS: &str = "/etc/systemd/system";

/// A directory with a disk of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Directory {
    pub unit_file: String,
    pub path: String,
    /// What is mounted: `/dev/disk/by-uuid/…`.
    pub device: String,
    /// The type of the file system.
    pub kind: String,
    pub options: String,
}

/// Those whose units are called as Proxmox VE calls them, `mnt-pve-<name>.mount`.
pub async fn directories(host: &SharedHost) -> Result<Vec<Directory>, Error> {
    let mut found = Vec::new();
    for entry in host.list(Path::new(UNITS)).await? {
        if !(entry.name.starts_with("mnt-pve-") && entry.name.ends_with(".mount")) {
            continue;
        }
        let path = Path::new(UNITS).join(&entry.name);
        let text = host.read(&path).await?;
        found.push(Directory {
            unit_file: path.display().to_string(),
            ..parse(&String::from_utf8_lossy(&text))
        });
    }
    Ok(found)
}

/// Reads a unit's section `[Mount]`.
fn parse(unit: &str) -> Directory {
    let lines = unit.lines().map(str::trim);
    let mount = lines.skip_while(|line| *line != "[Mount]").skip(1);
    let mut directory = Directory::default();
    for (key, value) in mount
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
    {
        let field = match key.trim() {
            "What" => &mut directory.device,
            "Where" => &mut directory.path,
            "Type" => &mut directory.kind,
            "Options" => &mut directory.options,
            _ => continue,
        };
        *field = value.trim().to_owned();
    }
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_says_what_is_mounted_where() {
        let unit = "[Unit]\nDescription=x\n\n[Install]\nWantedBy=multi-user.target\n\n[Mount]\n\
                    What=/dev/disk/by-uuid/1-2\nWhere=/mnt/pve/data\nType=ext4\nOptions=defaults\n";
        let found = parse(unit);
        assert_eq!(
            (found.path.as_str(), found.kind.as_str()),
            ("/mnt/pve/data", "ext4")
        );
        assert_eq!(found.device, "/dev/disk/by-uuid/1-2");
        assert_eq!(parse("[Unit]\nWhat=/x\n"), Directory::default());
    }
}
