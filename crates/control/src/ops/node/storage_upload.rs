//! Code that uploads and downloads share: the volume for a file name.

use model::{Error, VolumeId};
use storage::{ContentType, FileVolumes};

/// The file of a volume: `x.iso` of `iso/x.iso`.
pub(super) fn file_of(volume: &VolumeId) -> String {
    let file = volume.name().rsplit('/').next();
    file.unwrap_or_default().to_owned()
}

/// The volume for a file of this name.
pub(super) fn file_volume(
    storage: &dyn storage::Storage,
    content: &str,
    file_name: &str,
) -> Result<VolumeId, Error> {
    let id = storage.config().id();
    let kind = ContentType::from_name(content)
        .ok_or_else(|| Error::invalid("content", "unknown content type"))?;
    if !storage.config().takes(kind) {
        let text = format!("storage '{id}' is not configured for content-type '{content}'");
        return Err(Error::conflict(text));
    }
    let files = files_of(storage)?;
    let wrong = |_| Error::invalid("filename", "wrong file extension");
    let name = files.file_volume(kind, &plain(file_name)).map_err(wrong)?;
    VolumeId::new(id.clone(), name).map_err(|error| Error::invalid("filename", error.to_string()))
}

/// How a storage takes files; a clear word where it takes none.
pub(super) fn files_of(storage: &dyn storage::Storage) -> Result<&dyn FileVolumes, Error> {
    let id = storage.config().id();
    let none = || Error::conflict(format!("cant upload to storage '{id}'"));
    storage.files().ok_or_else(none)
}

/// A file name as Proxmox VE stores it: without folders, which some browsers send, and with `_` for
/// every character that is no letter, digit, `.`, `_` or `-`.
pub(super) fn plain(name: &str) -> String {
    let name = name.trim_end_matches(['\r', '\n']);
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    last.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_folders_and_what_is_strange() {
        for (name, expected) in [
            ("debian-12.5.0_amd64.iso", "debian-12.5.0_amd64.iso"),
            ("C:\\Users\\jane\\my disk.iso", "my_disk.iso"),
            ("../../etc/passwd", "passwd"),
            ("übung.iso", "_bung.iso"),
            ("a/", ""),
            ("x.iso\n", "x.iso"),
        ] {
            assert_eq!(plain(name), expected, "{name}");
        }
    }
}
