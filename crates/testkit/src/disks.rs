//! Disks on the files of a fake host: a disk or partition is a file `/dev/sd…` of its size that holds,
//! as JSON, what `lsblk` says of it.

use std::path::Path;

use serde_json::{Map, Value, json};
use sys::{Command, Output};

use crate::host::Disk;

/// What a block device says of itself.
pub(crate) type Facts = Map<String, Value>;

fn facts(disk: &Disk, path: &str) -> Option<Facts> {
    let content = disk.content(Path::new(path))?;
    serde_json::from_slice(&content).ok()
}

/// Makes a disk or a partition: `{"fstype":"ext4"}`; or changes one.
pub fn put_disk(disk: &mut Disk, path: &str, facts: &Value, size: u64) {
    let _ = disk.put(Path::new(path), facts.to_string().into_bytes(), size);
    list_mounts(disk);
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
    let mut facts = facts(disk, path)?;
    if facts.contains_key("unnoted") {
        facts.retain(|key, _| ["serial", "mountpoint", "holder"].contains(&key.as_str()));
    }
    let mut shown = Value::Object(facts);
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

/// What lies on a device; nothing where there is nothing.
fn blkid(disk: &Disk, path: &str) -> Option<String> {
    let facts = facts(disk, path)?;
    let keys = [
        ("fstype", "TYPE"),
        ("uuid", "UUID"),
        ("label", "LABEL"),
        ("pttype", "PTTYPE"),
        ("ptuuid", "PTUUID"),
        ("parttype", "PART_ENTRY_TYPE"),
    ];
    let mut text = String::new();
    for (key, word) in keys {
        if let Some(value) = facts.get(key).and_then(Value::as_str) {
            text.push_str(&format!("{word}={value}\n"));
        }
    }
    Some(text)
}

/// As the real one, it refuses what is mounted or held.
fn wipefs(disk: &mut Disk, path: &str) -> Option<()> {
    let mut facts = facts(disk, path)?;
    if facts.contains_key("mountpoint") || facts.contains_key("holder") {
        return None;
    }
    facts.retain(|key, _| ["model", "parttype", "serial", "vendor", "wwn"].contains(&key.as_str()));
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

/// All disks and partitions with what they say.
pub(crate) fn all(disk: &Disk) -> Vec<(String, Facts)> {
    let paths = disk.beside("/dev/sd").into_iter();
    let paths = paths.map(|rest| format!("/dev/sd{rest}"));
    paths
        .filter_map(|path| Some((path.clone(), facts(disk, &path)?)))
        .collect()
}

fn find(disk: &Disk, key: &str, value: &str) -> Option<(String, Facts)> {
    let mut all = all(disk).into_iter();
    all.find(|(_, facts)| facts.get(key).and_then(Value::as_str) == Some(value))
}

pub(crate) fn change(disk: &mut Disk, path: &str, changes: &[(&str, Value)]) -> Option<()> {
    let mut facts = facts(disk, path)?;
    for (key, value) in changes {
        match value {
            Value::Null => facts.remove(*key),
            value => facts.insert((*key).to_owned(), value.clone()),
        };
    }
    put(disk, path, facts)
}

fn mkfs(disk: &mut Disk, kind: &str, words: &[&str]) -> Option<()> {
    let [_, _, id, path] = *words else {
        return None;
    };
    let id = id.trim_start_matches("uuid=");
    change(disk, path, &[("fstype", kind.into()), ("uuid", id.into())])
}

const MOUNTS: &str = "/proc/mounts";

/// The kernel's lists of mounts, as the disks say.
fn list_mounts(disk: &mut Disk) {
    let (mut mounts, mut info) = (String::new(), String::new());
    for (path, facts) in all(disk) {
        let text = |key: &str| facts.get(key).and_then(Value::as_str);
        if let Some(at) = text("mountpoint") {
            let kind = text("fstype").unwrap_or("ext4");
            mounts.push_str(&format!("{path} {at} {kind} rw 0 0\n"));
            info.push_str(&format!("36 25 8:17 / {at} rw - {kind} {path} rw\n"));
        }
    }
    for (file, text) in [(MOUNTS, mounts), ("/proc/self/mountinfo", info)] {
        let size = text.len() as u64;
        let _ = disk.put(Path::new(file), text.into_bytes(), size);
    }
}

fn mount(disk: &mut Disk, uuid: &str, at: &str) -> Option<()> {
    let (path, _) = find(disk, "uuid", uuid)?;
    change(disk, &path, &[("mountpoint", at.into())])
}

/// What was written below the mount point is out of sight.
fn umount(disk: &mut Disk, at: &str) -> Option<()> {
    let (path, facts) = find(disk, "mountpoint", at)?;
    if facts.contains_key("open") {
        return None;
    }
    change(disk, &path, &[("mountpoint", Value::Null)])?;
    for below in disk.beside(&format!("{at}/")) {
        disk.take_away(Path::new(&format!("{at}/{below}")));
    }
    Some(())
}

const UNITS: &str = "/etc/systemd/system";

fn systemctl(disk: &mut Disk, words: &[&str]) -> Option<()> {
    let [action, unit] = *words else {
        return Some(());
    };
    let wanted = format!("{UNITS}/multi-user.target.wants/{unit}");
    let text = disk.content(Path::new(&format!("{UNITS}/{unit}")))?;
    let text = String::from_utf8(text).ok()?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    match action {
        "enable" => disk.put(Path::new(&wanted), Vec::new(), 0).ok(),
        "disable" => {
            disk.take_away(Path::new(&wanted));
            Some(())
        }
        "start" => mount(disk, value("What=/dev/disk/by-uuid/")?, value("Where=")?),
        "stop" => umount(disk, value("Where=")?),
        _ => None,
    }
}

/// `lsblk`, `blkid`, `wipefs`, `sfdisk`, `dd`, `blockdev`, `udevadm`, `mkfs.*`, `mount`, `umount` and
/// `systemctl`, as far as they are called.
pub fn disk_programs(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let last = words.last().copied().unwrap_or_default();
    let done = match command.program.as_str() {
        "lsblk" => return printed(Some(lsblk(disk))),
        "blkid" => return printed(blkid(disk, last)),
        "wipefs" => wipefs(disk, last),
        "sfdisk" => sfdisk(disk, command),
        "blockdev" => reread(disk, last),
        "dd" | "udevadm" => Some(()),
        "mkfs.ext4" => mkfs(disk, "ext4", &words),
        "mkfs.xfs" => mkfs(disk, "xfs", &words),
        "mount" => {
            let source = words.get(2).and_then(|source| source.strip_prefix("UUID="));
            source.and_then(|uuid| mount(disk, uuid, last))
        }
        "umount" => umount(disk, last),
        "systemctl" => systemctl(disk, &words),
        _ => None,
    };
    printed(done.map(|()| String::new()))
}

pub(crate) fn printed(text: Option<String>) -> Output {
    match text {
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

/// The word after an option.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1).copied()
}

/// LVM's programs for physical volumes, groups and pools: a disk says its group and the group's
/// logical volumes.
pub fn group_programs(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let last = words.last().copied().unwrap_or_default();
    let program = command.program.as_str();
    if let "pvs" | "vgs" | "lvs" = program {
        return printed(list_groups(disk, program, &words));
    }
    let of_group = |disk: &Disk, name: &str| find(disk, "vg", name);
    let done = match program {
        "lvmconfig" => Some(()),
        "pvcreate" => option(&words, "--uuid").and_then(|id| {
            let label = [
                ("fstype", "LVM2_member".into()),
                ("uuid", id.into()),
                ("vg", "".into()),
            ];
            change(disk, last, &label)
        }),
        "vgcreate" => {
            let name = words[words.len() - 2];
            change(disk, last, &[("vg", name.into())])
        }
        "lvcreate" => of_group(disk, last).and_then(|(path, _)| {
            change(disk, &path, &[("lvs", json!([option(&words, "--name")]))])
        }),
        "lvremove" => last
            .split_once('/')
            .and_then(|(group, _)| of_group(disk, group))
            .and_then(|(path, _)| change(disk, &path, &[("lvs", Value::Null)])),
        "vgremove" => of_group(disk, last).and_then(|(path, facts)| {
            let may = words.contains(&"--yes") || !facts.contains_key("lvs");
            may.then(|| change(disk, &path, &[("lvs", Value::Null), ("vg", "".into())]))?
        }),
        "pvremove" => {
            let none = Value::Null;
            change(
                disk,
                last,
                &[
                    ("fstype", none.clone()),
                    ("uuid", none.clone()),
                    ("vg", none),
                ],
            )
        }
        _ => None,
    };
    printed(done.map(|()| String::new()))
}

fn list_groups(disk: &Disk, program: &str, words: &[&str]) -> Option<String> {
    let selected = option(words, "--select").and_then(|select| select.strip_prefix("pv_uuid="));
    let mut rows = Vec::new();
    for (path, facts) in all(disk) {
        let text = |key: &str| facts.get(key).and_then(Value::as_str);
        let Some(group) = text("vg") else {
            continue;
        };
        let volumes = facts.get("lvs").and_then(Value::as_array);
        let volumes: Vec<&str> = volumes
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let size = disk.size(Path::new(&path))?.to_string();
        match program {
            "pvs" if selected.is_none_or(|id| text("uuid") == Some(id)) => rows.push(json!({
                "vg_name": group, "pv_name": path, "pv_size": size, "pv_free": size
            })),
            "vgs" if !group.is_empty() => rows.push(json!({
                "vg_name": group, "vg_size": size, "vg_free": size,
                "lv_count": volumes.len().to_string()
            })),
            "lvs" => rows.extend(volumes.iter().map(|name| {
                let attributes = if *name == group {
                    "twi-a-tz--"
                } else {
                    "-wi-------"
                };
                json!({
                    "vg_name": group, "lv_name": name, "lv_size": size, "lv_attr": attributes,
                    "pool_lv": "", "data_percent": "0.00", "lv_metadata_size": "0",
                    "metadata_percent": "0.00", "lv_time": "0", "lv_tags": ""
                })
            })),
            _ => {}
        }
    }
    let list = &program[..2];
    Some(json!({"report": [{list: rows}]}).to_string())
}
