//! Pools of ZFS on disks of a fake host: a disk says its pool as its label, whether that is imported,
//! and which group of the pool it is in (`vdev`).

use serde_json::Value;
use sys::{Command, Output};

use crate::disks::{Facts, all, change, printed};
use crate::host::Disk;

/// The members of a pool that is imported.
fn members(disk: &Disk, name: &str) -> Vec<(String, Facts)> {
    let mut members = all(disk);
    members.retain(|(_, facts)| facts.contains_key("imported") && facts["label"] == name);
    members
}

fn text<'a>(facts: &'a Facts, key: &str) -> &'a str {
    facts.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Made of the device's name, as a number.
fn guid(path: &str) -> String {
    path.bytes().map(|byte| byte.to_string()).collect()
}

fn list(disk: &Disk, column: &str) -> String {
    let names = all(disk)
        .into_iter()
        .filter(|(_, facts)| facts.contains_key("imported"));
    let mut names: Vec<String> = names
        .map(|(_, facts)| text(&facts, "label").to_owned())
        .collect();
    names.dedup();
    let line = |name: String| match column {
        "name" => name,
        _ => format!("{name}\t8\t1\t7\t0\t1.00\tONLINE"),
    };
    names.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn status(disk: &Disk, name: &str, by_guid: bool) -> String {
    let shown = |path: &str| match by_guid {
        true => guid(path),
        false => path.to_owned(),
    };
    let (mut tree, mut last) = (String::new(), String::new());
    let mut scan = "none requested";
    for (path, facts) in members(disk, name) {
        let group = text(&facts, "vdev");
        if !group.is_empty() && group != last {
            tree.push_str(&format!("\t  {group} ONLINE 0 0 0\n"));
        }
        group.clone_into(&mut last);
        let indent = if group.is_empty() { "  " } else { "    " };
        let (state, errors) = (
            if facts.contains_key("offline") {
                "OFFLINE"
            } else {
                "ONLINE"
            },
            if facts.contains_key("errors") { 3 } else { 0 },
        );
        tree.push_str(&format!(
            "\t{indent}{} {state} 0 0 {errors}\n",
            shown(&path)
        ));
        scan = match text(&facts, "scan") {
            "running" => {
                "scrub in progress since Sun Nov  1 00:24:02 2026\n\t0B repaired, 5.00% done"
            }
            "canceled" => "scrub canceled on Sun Nov  1 00:24:02 2026",
            "paused" => "scrub paused since Sun Nov  1 00:24:02 2026",
            _ => scan,
        };
    }
    format!(
        "  pool: {name}\n state: ONLINE\n  scan: {scan}\nconfig:\n\n\t{name} ONLINE 0 0 0\n{tree}\n\
         errors: No known data errors\n"
    )
}

/// Puts a device into a pool.
fn join(disk: &mut Disk, path: &str, name: &str, group: &str) -> Option<()> {
    let group = match group {
        "" => Value::Null,
        group => group.into(),
    };
    let label = [
        ("fstype", "zfs_member".into()),
        ("label", name.into()),
        ("imported", true.into()),
        ("vdev", group),
    ];
    change(disk, path, &label)
}

fn leave(disk: &mut Disk, path: &str) -> Option<()> {
    let keys = ["fstype", "label", "imported", "vdev", "offline", "errors"];
    change(disk, path, &keys.map(|key| (key, Value::Null)))
}

/// Groups of devices, as `zpool create` and `zpool add` take them.
fn add(disk: &mut Disk, name: &str, layout: &[&str]) -> Option<()> {
    let mut group = String::new();
    for word in layout {
        if word.starts_with("/dev/") {
            join(disk, word, name, &group)?;
        } else {
            let mut groups: Vec<String> = members(disk, name)
                .iter()
                .map(|(_, facts)| text(facts, "vdev").to_owned())
                .collect();
            groups.dedup();
            group = format!("{word}-{}", groups.len());
        }
    }
    Some(())
}

/// Changes a pool that is there. None where it refuses.
fn change_pool(disk: &mut Disk, words: &[&str]) -> Option<()> {
    let (verb, rest) = words.split_first()?;
    let options: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| word.starts_with('-'))
        .collect();
    let rest: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let (name, rest) = rest.split_first()?;
    let members = members(disk, name);
    let (first, _) = members.first()?.clone();
    let named = |wanted: &str| {
        members
            .iter()
            .find(|(path, _)| path == wanted || guid(path) == wanted)
            .cloned()
    };
    match (*verb, rest) {
        ("destroy", []) => members
            .iter()
            .try_for_each(|(path, _)| change(disk, path, &[("imported", Value::Null)])),
        ("add", layout) => add(disk, name, layout),
        ("attach", [device, new]) => {
            let (path, facts) = named(device)?;
            let group = match text(&facts, "vdev") {
                "" => "mirror-0",
                group => group,
            };
            join(disk, &path, name, group)?;
            join(disk, new, name, group)
        }
        ("replace", [device, new]) => {
            let (path, facts) = named(device)?;
            join(disk, new, name, text(&facts, "vdev"))?;
            leave(disk, &path)
        }
        ("detach", [device]) => leave(disk, &named(device)?.0),
        ("online", [device]) => change(disk, &named(device)?.0, &[("offline", Value::Null)]),
        ("clear", []) => members
            .iter()
            .try_for_each(|(path, _)| change(disk, path, &[("errors", Value::Null)])),
        ("scrub", []) => {
            let is = match options[..] {
                ["-s"] => "canceled",
                ["-p"] => "paused",
                _ => "running",
            };
            change(disk, &first, &[("scan", is.into())])
        }
        _ => None,
    }
}

/// `zpool` and `zfs`, as far as they are called for whole pools.
pub fn pool_programs(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let last = words.last().copied().unwrap_or_default();
    let text = match (command.program.as_str(), words[0]) {
        ("zpool", "list") => Some(list(disk, last)),
        ("zpool", "status") => Some(status(disk, last, words.contains(&"-g"))),
        // Two options with their values come before the name.
        ("zpool", "create") => add(disk, words[5], &words[6..]).map(|()| String::new()),
        ("zpool", _) => change_pool(disk, &words).map(|()| String::new()),
        ("zfs", "list") => Some(members(disk, last))
            .filter(|members| !members.is_empty())
            .map(|_| format!("{last}\n")),
        ("zfs", "get") if words.contains(&"creation") => Some("1793000000\n".to_owned()),
        ("zfs", "get") => Some("1.00x\n".to_owned()),
        _ => None,
    };
    printed(text)
}
