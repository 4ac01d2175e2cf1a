//! Ceph's program `rbd` on the files of a fake host: an image is a file `/rbd/POOL/IMAGE` that holds its
//! size and what it is a clone of, a snapshot is `/rbd/POOL/IMAGE@SNAPSHOT`, which says whether it is
//! protected.

use std::path::PathBuf;

use serde_json::{Value, json};
use sys::{Command, Output};

use crate::host::Disk;

/// What the program exits with, and what it says.
type Failure = (i32, &'static str);

const NO_ENTRY: Failure = (2, "(2) No such file or directory");
const BUSY: Failure = (16, "(16) Device or resource busy");
const EXISTS: Failure = (17, "(17) File exists");
const INVALID: Failure = (22, "(22) Invalid argument");
const NOT_EMPTY: Failure = (
    39,
    "rbd: image has snapshots - these must be deleted with 'rbd snap purge' before the image can be \
     removed.",
);

fn file(full: &str) -> PathBuf {
    PathBuf::from(format!("/rbd/{full}"))
}

fn get(disk: &Disk, full: &str) -> Result<String, Failure> {
    let content = disk.content(&file(full)).ok_or(NO_ENTRY)?;
    String::from_utf8(content).map_err(|_| INVALID)
}

fn put(disk: &mut Disk, full: &str, content: &str) {
    disk.file(&file(full).display().to_string(), content);
}

fn put_new(disk: &mut Disk, full: &str, content: &str) -> Result<(), Failure> {
    match get(disk, full) {
        Ok(_) => Err(EXISTS),
        Err(_) => {
            put(disk, full, content);
            Ok(())
        }
    }
}

fn snapshots(disk: &Disk, full: &str) -> Vec<String> {
    disk.beside(&format!("/rbd/{full}@"))
}

fn mib(words: &[&str]) -> Result<u64, Failure> {
    let at = words.iter().position(|word| *word == "--size");
    let size = at.and_then(|at| words.get(at + 1)?.strip_suffix('M'));
    let size: u64 = size.and_then(|size| size.parse().ok()).ok_or(INVALID)?;
    Ok(size << 20)
}

fn has_clones(disk: &Disk, snapshot: &str) -> bool {
    let pool = snapshot.split('/').next().unwrap_or_default();
    let all = disk.beside(&format!("/rbd/{pool}/"));
    all.iter().any(|name| {
        let content = get(disk, &format!("{pool}/{name}"));
        content.is_ok_and(|content| content.ends_with(&format!(" {snapshot}")))
    })
}

fn info(disk: &Disk, full: &str) -> Result<Value, Failure> {
    get(disk, full)?;
    let image = full.split('@').next().unwrap_or_default();
    let content = get(disk, image)?;
    let size: u64 = content
        .split(' ')
        .next()
        .and_then(|size| size.parse().ok())
        .ok_or(INVALID)?;
    let name = image.rsplit('/').next().unwrap_or_default();
    Ok(json!({"name": name, "size": size}))
}

fn of_snapshot(disk: &mut Disk, verb: &str, full: &str) -> Result<String, Failure> {
    let image = full.split('@').next().unwrap_or_default();
    match verb {
        "ls" => {
            get(disk, full)?;
            let all = snapshots(disk, full).into_iter().enumerate();
            let all = all.map(|(id, name)| {
                let is_protected = get(disk, &format!("{full}@{name}")).is_ok_and(|it| it == "yes");
                json!({"id": id, "name": name, "protected": is_protected.to_string()})
            });
            return Ok(Value::from_iter(all).to_string());
        }
        "create" => {
            get(disk, image)?;
            put_new(disk, full, "no")?;
        }
        "protect" if get(disk, full)? == "yes" => return Err(BUSY),
        "protect" => put(disk, full, "yes"),
        "unprotect" if has_clones(disk, full) => return Err(BUSY),
        "unprotect" if get(disk, full)? == "yes" => put(disk, full, "no"),
        "rm" if get(disk, full)? == "yes" => return Err(BUSY),
        "rm" => drop(disk.take_away(&file(full))),
        "rollback" => drop(get(disk, full)?),
        _ => return Err(INVALID),
    }
    Ok(String::new())
}

fn rename(disk: &mut Disk, from: &str, to: &str) -> Result<(), Failure> {
    let content = get(disk, from)?;
    put_new(disk, to, &content)?;
    for snapshot in snapshots(disk, from) {
        let content = get(disk, &format!("{from}@{snapshot}"))?;
        put(disk, &format!("{to}@{snapshot}"), &content);
        disk.take_away(&file(&format!("{from}@{snapshot}")));
    }
    disk.take_away(&file(from));
    Ok(())
}

fn run(disk: &mut Disk, words: &[&str]) -> Result<String, Failure> {
    // What follows says who asks and how it is printed.
    let names: Vec<&str> = words
        .iter()
        .take_while(|word| **word != "--format" && **word != "--conf")
        .copied()
        .collect();
    let last = names.last().copied().unwrap_or_default();
    let before = names.len().checked_sub(2).and_then(|at| names.get(at));
    let before = before.copied().unwrap_or_default();
    let nothing = |()| String::new();
    match names.first().copied().unwrap_or_default() {
        "snap" => of_snapshot(disk, names.get(1).copied().unwrap_or_default(), last),
        "info" => Ok(info(disk, last)?.to_string()),
        "ls" => {
            let all = disk.beside(&format!("/rbd/{last}/"));
            let images = all.into_iter().filter(|name| !name.contains('@'));
            Ok(Value::from_iter(images).to_string())
        }
        "create" => put_new(disk, last, &mib(&names)?.to_string()).map(nothing),
        "resize" => {
            get(disk, last)?;
            put(disk, last, &mib(&names)?.to_string());
            Ok(String::new())
        }
        "rm" if !snapshots(disk, last).is_empty() => Err(NOT_EMPTY),
        "rm" => {
            get(disk, last)?;
            disk.take_away(&file(last));
            Ok(String::new())
        }
        "rename" => rename(disk, before, last).map(nothing),
        "clone" => {
            get(disk, before)?;
            let of = info(disk, before)?["size"].to_string();
            put_new(disk, last, &format!("{of} {before}")).map(nothing)
        }
        _ => Err(INVALID),
    }
}

/// `rbd`, as far as the storage driver calls it.
pub fn rbd(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    match run(disk, &words) {
        Ok(printed) => Output {
            code: Some(0),
            stdout: printed.into_bytes(),
            stderr: Vec::new(),
        },
        Err((code, says)) => Output {
            code: Some(code),
            stdout: Vec::new(),
            stderr: says.as_bytes().to_vec(),
        },
    }
}
