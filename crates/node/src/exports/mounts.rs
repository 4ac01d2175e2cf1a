//! What the kernel has mounted, as proc(5) lists it.

use std::path::Path;

use sys::{SharedHost, SysError};

/// A mount.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Of the file system: `8:17`. The same for all its mounts.
    pub(super) number: String,
    pub(super) point: String,
    /// `ext4`, `nfs4`.
    pub(super) kind: String,
    /// `/dev/sda1`, `server:/export`.
    pub(super) source: String,
}

/// All mounts, in the order in which they were made.
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    pub(super) async fn read(host: &SharedHost) -> Result<Self, SysError> {
        let list = host.read(Path::new("/proc/self/mountinfo")).await?;
        Ok(Self::parse(&String::from_utf8_lossy(&list)))
    }

    /// Reads `36 25 8:17 / /mnt/pve/x rw,relatime shared:1 - ext4 /dev/sdb1 rw`.
    fn parse(list: &str) -> Self {
        let mount = |line: &str| {
            let (place, origin) = line.split_once(" - ")?;
            let mut words = place.split(' ').skip(2);
            let number = words.next()?.to_owned();
            let point = plain(words.nth(1)?);
            let mut words = origin.split(' ');
            let (kind, source) = (words.next()?.to_owned(), plain(words.next()?));
            Some(Mount {
                number,
                point,
                kind,
                source,
            })
        };
        Self(list.lines().filter_map(mount).collect())
    }

    /// The mount that is seen at a path; later ones cover earlier ones.
    pub(super) fn at(&self, path: &str) -> Option<&Mount> {
        self.0.iter().rfind(|mount| mount.point == path)
    }

    /// The mount that a path is in.
    pub(super) fn covering(&self, path: &str) -> Option<&Mount> {
        let above = Path::new(path).ancestors();
        above
            .filter_map(Path::to_str)
            .find_map(|path| self.at(path))
    }
}

/// Spaces and tabs are octal numbers there.
fn plain(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
36 22 8:17 / /srv/a rw shared:2 - xfs /dev/sdb1 rw
37 36 0:52 / /srv/a/with\\040space rw - nfs4 n1:/x rw
38 22 8:33 / /srv/a rw shared:3 - ext4 /dev/sdc1 rw
";

    #[test]
    fn a_path_is_in_the_nearest_mount_that_was_made_last() {
        let mounts = Mounts::parse(LIST);
        let number = |path: &str| mounts.covering(path).map(|mount| &*mount.number);
        assert_eq!(number("/srv/a/exports/x"), Some("8:33"));
        assert_eq!(number("/srv/ab"), Some("8:1"));
        assert_eq!(number("/srv/a/with space/y"), Some("0:52"));
        assert_eq!(mounts.at("/srv"), None);
    }
}
