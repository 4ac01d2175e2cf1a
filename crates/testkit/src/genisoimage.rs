//! `genisoimage` on the files of a fake host: the medium is the names and contents of its files.

use std::path::Path;

use sys::{Command, Output};

use crate::host::Disk;

/// Takes graft points and prints the medium; a missing file is an error.
pub fn genisoimage(disk: &mut Disk, command: &Command) -> Output {
    let grafts = command.args.iter().filter_map(|word| word.split_once('='));
    let mut medium = Vec::new();
    for (name, path) in grafts {
        let Some(content) = disk.content(Path::new(path)) else {
            return Output {
                code: Some(1),
                stdout: Vec::new(),
                stderr: format!("genisoimage: no file {path}").into_bytes(),
            };
        };
        medium.extend_from_slice(format!("{name}\n").as_bytes());
        medium.extend_from_slice(&content);
    }
    Output {
        code: Some(0),
        stdout: medium,
        stderr: Vec::new(),
    }
}
