//! `qemu-img` on the files of a fake host: an image is a file of its virtual size, and a snapshot
//! of it a file beside it, `IMAGE@NAME`.

use std::path::Path;

use serde_json::{Value, json};
use sys::{Command, Output};

use crate::host::Disk;

/// The file of an image that may be named by its nodes: `driver=qcow2,…,file.filename=/x`.
fn file(image: &str) -> &Path {
    let name = image.rsplit_once("file.filename=");
    Path::new(name.map_or(image, |(_, path)| path))
}

/// `create`, `resize`, `info`, `convert` and `snapshot`, as far as the storage drivers call them.
pub fn qemu_img(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let done = match words[..] {
        // A layer is as large as what it is on.
        ["create", .., "-b", _, path] => disk
            .put(Path::new(path), b"layer".to_vec(), 1)
            .ok()
            .map(|()| String::new()),
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
        ["info", .., path] => disk.size(Path::new(path)).map(|size| {
            let names = disk.beside(&format!("{path}@"));
            let snapshots: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"virtual-size": size, "snapshots": snapshots}).to_string()
        }),
        ["snapshot", action, name, path] => {
            let snapshot = format!("{path}@{name}");
            let snapshot = Path::new(&snapshot);
            let done = match action {
                "-c" => disk.put(snapshot, Vec::new(), 0).is_ok(),
                "-a" => disk.size(snapshot).is_some(),
                _ => disk.take_away(snapshot),
            };
            done.then(String::new)
        }
        ["convert", .., from, to]
            if disk.size(file(from)).is_some() && disk.size(file(to)).is_some() =>
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
