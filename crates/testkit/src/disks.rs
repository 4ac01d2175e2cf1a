//! Disks on the files of a fake host: a disk or partition is a file `/dev/sd…` of its size that holds,
//! as JSON, what `lsblk` says of it.

use std::path::Path;

use serde_json::{Map, Value, json};
use sys::{Command, Output};

use crate::host::Disk;

/// What a block device says of itself.
type Facts = Map<String, Value>;

fn facts(disk: &Disk, path: &str) -> Option<Facts> {
    let content = disk.content(Path::new(path))?;
    serde_json::from_slice(&content).ok()
}

/// Makes a disk or a partition: `{"fstype":"ext4"}`; or changes one.
pub fn put_disk(disk: &mut Disk, path: &str, facts: &Value, size: u64) {
    let _ = disk.put(Path::new(path), facts.to_string().into_bytes(), size);
}

fn put(disk: &mut Disk, path: &str, facts: Facts) -> Option<()> {
    let size = disk.size(Path::new(path))?;
    put_disk(disk, path, &Value::Object(facts), size);
    Some(())
}

fn partitions(disk: &Disk, path: &str) -> Vec<String> {
    let numbers = disk.beside(path).into_iter();
    let numbers = numbers.filter(|rest| rest.parse::<u32>().is_ok());
    numbers.map(|number| format!("{path}{number}")).collect()
}

fn block(disk: &Disk, path: &str, kind: &str) -> Option<Value> {
    let mut shown = Value::Object(facts(disk, path)?);
    let name = path.trim_start_matches("/dev/");
    shown["name"] = name.into();
    shown["path"] = path.into();
    shown["type"] = kind.into();
    shown["size"] = disk.size(Path::new(path))?.into();
    let mut children: Vec<Value> = partitions(disk, path)
        .iter()
        .filter_map(|part| block(disk, part, "part"))
        .collect();
    if let Some(holder) = shown["holder"].as_str() {
        children
            .push(json!({"name": holder, "path": format!("/dev/mapper/{holder}"), "type": "lvm"}));
    }
    shown["children"] = children.into();
    Some(shown)
}

fn lsblk(disk: &Disk) -> String {
    let letters = disk.beside("/dev/sd").into_iter();
    let letters = letters.filter(|rest| rest.len() == 1);
    let all: Vec<Value> = letters
        .filter_map(|letter| block(disk, &format!("/dev/sd{letter}"), "disk"))
        .collect();
    json!({"blockdevices": all}).to_string()
}

/// As the real one, it refuses what is mounted or held.
fn wipefs(disk: &mut Disk, path: &str) -> Option<()> {
    let mut facts = facts(disk, path)?;
    if facts.contains_key("mountpoint") || facts.contains_key("holder") {
        return None;
    }
    facts.retain(|key, _| ["parttype", "serial", "wwn"].contains(&key.as_str()));
    put(disk, path, facts)
}

fn sfdisk(disk: &mut Disk, command: &Command) -> Option<()> {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    if let [.., "--part-type", path, number, kind] = words[..] {
        let part = format!("{path}{number}");
        let mut facts = facts(disk, &part)?;
        facts.insert("parttype".to_owned(), kind.to_lowercase().into());
        return put(disk, &part, facts);
    }
    let path = *words.last()?;
    let script = String::from_utf8_lossy(&command.input).into_owned();
    let mut facts = facts(disk, path)?;
    let id = script
        .lines()
        .find_map(|line| line.strip_prefix("label-id: "))?;
    facts.insert("pttype".to_owned(), "gpt".into());
    facts.insert("ptuuid".to_owned(), id.to_lowercase().into());
    put(disk, path, facts)?;
    if let Some(line) = script.lines().find(|line| line.starts_with("type=")) {
        let kind = line.trim_start_matches("type=").to_lowercase();
        let size = disk.size(Path::new(path))? - (2 << 20);
        put_disk(disk, &format!("{path}1"), &json!({"parttype": kind}), size);
    }
    Some(())
}

/// `blockdev --rereadpt`: partitions of a table that is gone are gone.
fn reread(disk: &mut Disk, path: &str) -> Option<()> {
    if !facts(disk, path)?.contains_key("pttype") {
        for part in partitions(disk, path) {
            disk.take_away(Path::new(&part));
        }
    }
    Some(())
}

/// `lsblk`, `wipefs`, `sfdisk`, `dd`, `blockdev` and `udevadm`, as far as they are called.
pub fn disk_programs(disk: &mut Disk, command: &Command) -> Output {
    let last = command.args.last().cloned().unwrap_or_default();
    let nothing = |()| String::new();
    let done = match command.program.as_str() {
        "lsblk" => Some(lsblk(disk)),
        "wipefs" => wipefs(disk, &last).map(nothing),
        "sfdisk" => sfdisk(disk, command).map(nothing),
        "blockdev" => reread(disk, &last).map(nothing),
        "dd" | "udevadm" => Some(String::new()),
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
            stderr: b"Device or resource busy".to_vec(),
        },
    }
}
