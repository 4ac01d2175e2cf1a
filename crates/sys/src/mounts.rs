//! What the kernel has mounted, as proc(5) lists it.

use std::path::Path;

use crate::{SharedHost, SysError};

const LIST: &str = "/proc/self/mountinfo";

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// Of the device; the same for all mounts of a file system. The first one is 0 where the file system
    /// has a number of its own (btrfs).
    pub number: (u32, u32),
    pub point: String,
    /// `ext4`, `nfs4`, `fuse.ceph-fuse`.
    pub kind: String,
    /// `/dev/sda1`, `server:/export`.
    pub source: String,
}

/// All mounts, in the order in which they were made.
#[derive(Debug)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    pub async fn read(host: &SharedHost) -> Result<Self, SysError> {
        Ok(Self::parse(&host.read(Path::new(LIST)).await?))
    }

    /// Reads `36 25 8:17 / /mnt/pve/x rw,relatime shared:1 - ext4 /dev/sdb1 rw`.
    fn parse(list: &[u8]) -> Self {
        let mount = |line: &str| {
            let (place, origin) = line.split_once(" - ")?;
            let mut words = place.split(' ').skip(2);
            let (major, minor) = words.next()?.split_once(':')?;
            let number = (major.parse().ok()?, minor.parse().ok()?);
            let point = text(words.nth(1)?);
            let mut words = origin.split(' ');
            let (kind, source) = (words.next()?.to_owned(), text(words.next()?));
            Some(Mount {
                number,
                point,
                kind,
                source,
            })
        };
        let list = String::from_utf8_lossy(list);
        Self(list.lines().filter_map(mount).collect())
    }

    /// The mount that is seen at a path; later ones cover earlier ones.
    pub fn at(&self, path: &str) -> Option<&Mount> {
        let path = match path.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        self.0.iter().rfind(|mount| mount.point == path)
    }

    /// The mount that a path is in.
    pub fn covering(&self, path: &str) -> Option<&Mount> {
        let above = Path::new(path).ancestors();
        above
            .filter_map(Path::to_str)
            .find_map(|path| self.at(path))
    }
}

fn text(field: &str) -> String {
    String::from_utf8_lossy(&plain(field.as_bytes())).into_owned()
}

/// A field of the list, in which blanks and the like are octal numbers.
pub(crate) fn plain(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let number = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        text.push(number.unwrap_or(*first));
        rest = if number.is_some() { &tail[3..] } else { tail };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &[u8] = b"\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
36 22 8:17 / /srv/a rw shared:2 - xfs /dev/sdb1 rw
37 36 0:52 / /srv/a/with\\040space rw shared:9 master:2 - nfs4 10.0.0.1:/srv/a\\040b rw,vers=4.2
38 22 8:33 / /srv/a rw shared:3 - ext4 /dev/sdc1 rw
39 22 0:60 / /srv/a/y rw - btrfs /dev/sdd rw
";

    #[test]
    fn a_path_is_in_the_nearest_mount_that_was_made_last() {
        let mounts = Mounts::parse(LISTED);
        let number = |path: &str| mounts.covering(path).map(|mount| mount.number);
        assert_eq!(number("/srv/a/exports/x"), Some((8, 33)));
        assert_eq!(number("/srv/ab"), Some((8, 1)));
        assert_eq!(number("/srv/a/with space/y"), Some((0, 52)));
        assert_eq!(mounts.at("/srv/a").unwrap().source, "/dev/sdc1");
        assert_eq!(mounts.at("/srv"), None);
        assert_eq!(mounts.at("/").unwrap().source, "/dev/sda1");
        let nas = mounts.at("/srv/a/with space/").unwrap();
        let (kind, source) = (nas.kind.as_str(), nas.source.as_str());
        assert_eq!((kind, source), ("nfs4", "10.0.0.1:/srv/a b"));
    }

    #[test]
    fn fields_of_the_kernels_list_are_read() {
        assert_eq!(plain(br"/run/a\040b"), b"/run/a b");
        assert_eq!(plain(br"/run/\134x\"), br"/run/\x\");
    }
}
