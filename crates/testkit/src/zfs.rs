//! ZFS's program on the files of a fake host: a dataset is a file `/zfs/NAME`, with `:` for `/`, that
//! holds its type, size and origin; a snapshot is `/zfs/NAME@SNAPSHOT`, with its place among them all.
//! A volume has its device `/dev/zvol/NAME` from the beginning.

use std::path::PathBuf;

use sys::{Command, Output};

use crate::host::Disk;

struct Dataset {
    kind: String,
    size: String,
    origin: String,
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(format!("/zfs/{}", name.replace('/', ":")))
}

fn device(name: &str) -> PathBuf {
    PathBuf::from(format!("/dev/zvol/{name}"))
}

fn text(disk: &Disk, name: &str) -> Option<String> {
    String::from_utf8(disk.content(&file(name))?).ok()
}

fn get(disk: &Disk, name: &str) -> Result<Dataset, String> {
    let none = || format!("cannot open '{name}': dataset does not exist");
    let content = text(disk, name).ok_or_else(none)?;
    let mut words = content.split(' ').map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    Ok(Dataset {
        kind: next(),
        size: next(),
        origin: next(),
    })
}

fn put(disk: &mut Disk, name: &str, content: &str) {
    disk.folder("/zfs".as_ref());
    let path = file(name);
    let bytes = content.as_bytes().to_vec();
    disk.put(&path, bytes, 0).expect("a folder for datasets");
    if content.starts_with("volume") {
        let device = device(name);
        disk.file(&device.display().to_string(), "device");
    }
}

fn take(disk: &mut Disk, name: &str) {
    disk.take_away(&file(name));
    disk.take_away(&device(name));
}

fn check_new(disk: &Disk, name: &str) -> Result<(), String> {
    match text(disk, name) {
        None => Ok(()),
        Some(_) => Err(format!("cannot create '{name}': dataset already exists")),
    }
}

/// The snapshots of a dataset, oldest first.
fn snapshots(disk: &Disk, name: &str) -> Vec<String> {
    let prefix = format!("{}@", file(name).display());
    let names = disk.beside(&prefix).into_iter();
    let mut dated: Vec<(u64, String)> = names
        .map(|snapshot| {
            let at = text(disk, &format!("{name}@{snapshot}"));
            let at = at.and_then(|at| at.parse().ok()).unwrap_or_default();
            (at, snapshot)
        })
        .collect();
    dated.sort();
    dated.into_iter().map(|(_, snapshot)| snapshot).collect()
}

fn line(disk: &Disk, name: &str) -> Result<String, String> {
    let Dataset { kind, size, origin } = get(disk, name)?;
    let sizes = match kind.as_str() {
        "volume" => format!("{size}\t-"),
        _ => format!("-\t{size}"),
    };
    Ok(format!(
        "{name}\t{kind}\t{sizes}\t4096\t{origin}\t1764331200\n"
    ))
}

fn list(disk: &Disk, words: &[&str], name: &str) -> Result<String, String> {
    if words.contains(&"snapshot") {
        get(disk, name)?;
        let shown = |snapshot: String| format!("{name}@{snapshot}\n");
        return Ok(snapshots(disk, name).into_iter().map(shown).collect());
    }
    if !words.contains(&"-d") {
        return line(disk, name);
    }
    let below = disk.beside(&format!("{}:", file(name).display()));
    let below = below.iter().filter(|below| !below.contains('@'));
    below
        .map(|below| line(disk, &format!("{name}/{below}")))
        .collect()
}

fn create(disk: &mut Disk, words: &[&str], name: &str) -> Result<(), String> {
    check_new(disk, name)?;
    let at = words.iter().position(|word| *word == "-V");
    let content = match at.and_then(|at| words.get(at + 1)) {
        Some(size) => format!("volume {size} -"),
        None => "filesystem 0 -".to_owned(),
    };
    put(disk, name, &content);
    Ok(())
}

fn snapshot(disk: &mut Disk, full: &str) -> Result<(), String> {
    let (name, _) = full.split_once('@').ok_or("no snapshot")?;
    get(disk, name)?;
    if text(disk, full).is_some() {
        return Err(format!(
            "cannot create snapshot '{full}': dataset already exists"
        ));
    }
    let newest = snapshots(disk, name).len();
    put(disk, full, &newest.to_string());
    Ok(())
}

fn destroy(disk: &mut Disk, full: &str) -> Result<(), String> {
    let clones = |disk: &Disk, snapshot: &str| {
        let all = disk.beside("/zfs/");
        all.iter().any(|name| {
            get(disk, &name.replace(':', "/")).is_ok_and(|found| found.origin == snapshot)
        })
    };
    if let Some((name, _)) = full.split_once('@') {
        get(disk, name)?;
        if text(disk, full).is_none() {
            return Err("could not find any snapshots to destroy; check snapshot names.".into());
        }
        if clones(disk, full) {
            return Err(format!(
                "cannot destroy '{full}': snapshot has dependent clones"
            ));
        }
        take(disk, full);
        return Ok(());
    }
    get(disk, full)?;
    let of_it = snapshots(disk, full);
    let of_it: Vec<String> = of_it.iter().map(|one| format!("{full}@{one}")).collect();
    if of_it.iter().any(|snapshot| clones(disk, snapshot)) {
        return Err(format!(
            "cannot destroy '{full}': volume has dependent clones"
        ));
    }
    for one in of_it.iter().map(String::as_str).chain([full]) {
        take(disk, one);
    }
    Ok(())
}

fn roll_back(disk: &Disk, full: &str) -> Result<(), String> {
    let (name, wanted) = full.split_once('@').ok_or("no snapshot")?;
    let all = snapshots(disk, name);
    match all.last() {
        Some(last) if last == wanted => Ok(()),
        _ if all.iter().any(|known| known == wanted) => Err(format!(
            "cannot rollback to '{full}': more recent snapshots or bookmarks exist\nuse '-r' to \
             force deletion of the following snapshots and bookmarks:"
        )),
        _ => Err(format!("cannot open '{full}': dataset does not exist")),
    }
}

fn rename(disk: &mut Disk, from: &str, to: &str) -> Result<(), String> {
    get(disk, from)?;
    check_new(disk, to)?;
    let of_it = snapshots(disk, from);
    let of_it = of_it.iter().map(|one| format!("@{one}"));
    for end in of_it.chain([String::new()]) {
        let (old, new) = (format!("{from}{end}"), format!("{to}{end}"));
        let content = text(disk, &old).unwrap_or_default();
        take(disk, &old);
        put(disk, &new, &content);
    }
    Ok(())
}

fn clone(disk: &mut Disk, origin: &str, name: &str) -> Result<(), String> {
    if text(disk, origin).is_none() {
        return Err(format!("cannot open '{origin}': dataset does not exist"));
    }
    check_new(disk, name)?;
    let (of, _) = origin.split_once('@').ok_or("no snapshot")?;
    let Dataset { kind, size, .. } = get(disk, of)?;
    put(disk, name, &format!("{kind} {size} {origin}"));
    Ok(())
}

fn set(disk: &mut Disk, words: &[&str], name: &str) -> Result<(), String> {
    let found = get(disk, name)?;
    let sizes = ["volsize=", "refquota="];
    let size = words
        .iter()
        .find_map(|word| sizes.iter().find_map(|what| word.strip_prefix(what)));
    let size = size.unwrap_or(&found.size);
    put(
        disk,
        name,
        &format!("{} {size} {}", found.kind, found.origin),
    );
    Ok(())
}

/// `zfs`, as far as the storage driver calls it for volumes.
pub fn zfs(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let last = words.last().copied().unwrap_or_default();
    let before = words.len().checked_sub(2).and_then(|at| words.get(at));
    let nothing = |()| String::new();
    let done = match words.first().copied().unwrap_or_default() {
        "list" if last.contains('@') => match text(disk, last) {
            Some(_) => Ok(format!("{last}\n")),
            None => Err(format!("cannot open '{last}': dataset does not exist")),
        },
        "list" => list(disk, &words, last),
        "create" => create(disk, &words, last).map(nothing),
        "snapshot" => snapshot(disk, last).map(nothing),
        "destroy" => destroy(disk, last).map(nothing),
        "rollback" => roll_back(disk, last).map(nothing),
        "rename" => rename(disk, before.copied().unwrap_or_default(), last).map(nothing),
        "clone" => clone(disk, before.copied().unwrap_or_default(), last).map(nothing),
        "set" | "inherit" => set(disk, &words, last).map(nothing),
        _ => Err("cannot".to_owned()),
    };
    match done {
        Ok(printed) => Output {
            code: Some(0),
            stdout: printed.into_bytes(),
            stderr: Vec::new(),
        },
        Err(why) => Output {
            code: Some(1),
            stdout: Vec::new(),
            stderr: why.into_bytes(),
        },
    }
}

/// Prints the volume of a device.
pub fn zvol_id(_disk: &mut Disk, command: &Command) -> Output {
    let of = command
        .args
        .first()
        .and_then(|path| path.strip_prefix("/dev/zvol/"));
    Output {
        code: Some(i32::from(of.is_none())),
        stdout: of.unwrap_or_default().as_bytes().to_vec(),
        stderr: Vec::new(),
    }
}
