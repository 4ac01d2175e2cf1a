//! `qemu-img` on the files of a fake host: an image is a file of its virtual size, and its snapshot
//! a file beside it, `IMAGE@NAME`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sys::{Command, Output};

use crate::host::Disk;

/// The file of an image that may be given as nodes: `json:{"file":{"filename":"/x"},…}`.
fn file(image: &str) -> PathBuf {
    let nodes = image.strip_prefix("json:");
    let nodes = nodes.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let name = nodes
        .as_ref()
        .and_then(|nodes| nodes["file"]["filename"].as_str());
    PathBuf::from(name.unwrap_or(image))
}

/// The content of an image of this name: the beginning of a header with its size.
pub fn image_content(path: &Path, size: u64, backing: Option<&str>) -> Vec<u8> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("qcow2") => {
            let backing = backing.unwrap_or_default();
            let at: u64 = if backing.is_empty() { 0 } else { 80 };
            let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
            head.extend(at.to_be_bytes());
            head.extend((backing.len() as u32).to_be_bytes());
            head.extend(16_u32.to_be_bytes());
            head.extend(size.to_be_bytes());
            head.resize(80, 0);
            head.extend(backing.as_bytes());
            head
        }
        Some("vmdk") => {
            let mut head = b"KDMV\x01\0\0\0\0\0\0\0".to_vec();
            head.extend((size / 512).to_le_bytes());
            head.resize(512, 0);
            head
        }
        _ => b"image".to_vec(),
    }
}

fn put(disk: &mut Disk, path: &Path, size: u64, backing: Option<&str>) -> Option<String> {
    let content = image_content(path, size, backing);
    disk.put(path, content, size).ok().map(|()| String::new())
}

/// Writes the table of an image's snapshots anew, at the end of its content.
fn write_table(disk: &mut Disk, image: &Path) -> Option<()> {
    let (mut content, size) = (disk.content(image)?, disk.size(image)?);
    let backing_bytes = u32::from_be_bytes(content[16..20].try_into().ok()?);
    content.resize((80 + backing_bytes as usize).next_multiple_of(8), 0);
    let names = disk.beside(&format!("{}@", image.display()));
    let table = content.len() as u64;
    content[60..64].copy_from_slice(&(names.len() as u32).to_be_bytes());
    content[64..72].copy_from_slice(&table.to_be_bytes());
    for name in names {
        let mut row = vec![0; 40];
        row[14..16].copy_from_slice(&(name.len() as u16).to_be_bytes());
        row.extend(name.as_bytes());
        row.resize(row.len().next_multiple_of(8), 0);
        content.extend(row);
    }
    disk.put(image, content, size).ok()
}

/// `create`, `resize`, `convert`, `snapshot`, `commit` and `rebase`, as far as the storage drivers use them.
pub fn qemu_img(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["create", .., "-b", backing, path, size] => size
            .parse()
            .ok()
            .and_then(|size| put(disk, Path::new(path), size, Some(backing))),
        ["create", .., path, size] => size
            .parse()
            .ok()
            .and_then(|size| put(disk, Path::new(path), size, None)),
        ["resize", .., image, size] if disk.size(&file(image)).is_some() => size
            .parse()
            .ok()
            .and_then(|size| put(disk, &file(image), size, None)),
        ["snapshot", action, name, image] => {
            let image = file(image);
            let snapshot = format!("{}@{name}", image.display());
            let snapshot = Path::new(&snapshot);
            let done = match action {
                "-c" => disk.put(snapshot, Vec::new(), 0).is_ok(),
                "-a" => disk.size(snapshot).is_some(),
                _ => disk.take_away(snapshot),
            };
            (done && write_table(disk, &image).is_some()).then(String::new)
        }
        ["commit", .., image] if disk.size(Path::new(image)).is_some() => Some(String::new()),
        ["rebase", .., "-b", backing, image] => {
            let image = Path::new(image);
            let size = disk.size(image);
            size.and_then(|size| put(disk, image, size, Some(backing)))
        }
        ["convert", .., from, to]
            if disk.size(&file(from)).is_some() && disk.size(&file(to)).is_some() =>
        {
            Some("    (100.00/100%)\r".to_owned())
        }
        ["compare", .., one, other]
            if disk.size(&file(one)).is_some() && disk.size(&file(other)).is_some() =>
        {
            Some(String::new())
        }
        _ => None,
    };
    match done {
        Some(text) => Output {
            code: Some(0),
            stdout: text.into_bytes(),
            stderr: Vec::new(),
        },
        None => Output {
            code: Some(1),
            stdout: Vec::new(),
            stderr: b"qemu-img: cannot".to_vec(),
        },
    }
}
