//! `qemu-img` on the files of a fake host: an image is a file of its virtual size.

use std::path::Path;

use sys::{Command, Output};

use crate::host::Disk;

/// `create`, `resize`, `info` and `convert`, as far as the storage drivers call them.
pub fn qemu_img(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["create", .., path, size] => size
            .parse()
            .ok()
            .and_then(|size| disk.put(Path::new(path), b"image".to_vec(), size).ok())
            .map(|()| String::new()),
        ["resize", .., path, size] if disk.size(Path::new(path)).is_some() => size
            .parse()
            .ok()
            .and_then(|size| disk.put(Path::new(path), b"image".to_vec(), size).ok())
            .map(|()| String::new()),
        ["info", .., path] => disk
            .size(Path::new(path))
            .map(|size| format!("{{\"virtual-size\": {size}}}")),
        ["convert", .., from, to]
            if disk.size(Path::new(from)).is_some() && disk.size(Path::new(to)).is_some() =>
        {
            Some("    (100.00/100%)\r".to_owned())
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
