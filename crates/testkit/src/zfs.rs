//! ZFS's program on the files of a fake host: a dataset is a file `/zfs/NAME`, with `:` for `/`, that
//! holds its type, size and origin, and a line for each property that was set on it; a snapshot is `/zfs/NAME@SNAPSHOT`, with its place among them all.
//! A volume has its device `/dev/zvol/NAME` from the beginning.

use std::path::PathBuf;

use sys::{Command, Output};

use crate::host::Disk;

struct Dataset {
    kind: String,
    size: String,
    origin: String,
    /// What was set, as `name=value`.
    set: Vec<String>,
}

impl Dataset {
    fn content(&self) -> String {
        let mut content = format!("{} {} {}", self.kind, self.size, self.origin);
        for pair in &self.set {
            content.push('\n');
            content.push_str(pair);
        }
        content
    }

    fn unset(&mut self, name: &str) {
        self.set.retain(|pair| pair.split('=').next() != Some(name));
    }

    fn set(&mut self, pair: &str) {
        self.unset(pair.split('=').next().unwrap_or_default());
        self.set.push(pair.to_owned());
    }
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
    let mut lines = content.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    Ok(Dataset {
        kind: next(),
        size: next(),
        origin: next(),
        set: lines.map(str::to_owned).collect(),
    })
}

fn put(disk: &mut Disk, name: &str, content: &str) {
    disk.folder("/zfs".as_ref());
    let path = file(name);
    let bytes = content.as_bytes().to_vec();
    let size = bytes.len() as u64;
    disk.put(&path, bytes, size).expect("a folder for datasets");
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
    let Dataset {
        kind, size, origin, ..
    } = get(disk, name)?;
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

/// The values of an option.
fn given<'a>(words: &'a [&'a str], option: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = words.windows(2).filter(move |pair| pair[0] == option);
    pairs.map(|pair| pair[1])
}

fn create(disk: &mut Disk, words: &[&str], name: &str) -> Result<(), String> {
    check_new(disk, name)?;
    let volume = given(words, "-V").next();
    let mut made = Dataset {
        kind: volume.map_or("filesystem", |_| "volume").to_owned(),
        size: volume.unwrap_or("0").to_owned(),
        origin: "-".to_owned(),
        set: given(words, "-o").map(str::to_owned).collect(),
    };
    if let Some(size) = volume.filter(|_| !words.contains(&"-s")) {
        made.set(&format!("refreservation={size}"));
    }
    if let Some(size) = given(words, "-b").next() {
        made.set(&format!("volblocksize={size}"));
    }
    put(disk, name, &made.content());
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

fn clone(disk: &mut Disk, words: &[&str], origin: &str, name: &str) -> Result<(), String> {
    if text(disk, origin).is_none() {
        return Err(format!("cannot open '{origin}': dataset does not exist"));
    }
    check_new(disk, name)?;
    let (of, _) = origin.split_once('@').ok_or("no snapshot")?;
    let Dataset { kind, size, .. } = get(disk, of)?;
    let made = Dataset {
        kind,
        size,
        origin: origin.to_owned(),
        set: given(words, "-o").map(str::to_owned).collect(),
    };
    put(disk, name, &made.content());
    Ok(())
}

fn set(disk: &mut Disk, words: &[&str], name: &str) -> Result<(), String> {
    let mut found = get(disk, name)?;
    for pair in words.iter().filter(|word| word.contains('=')) {
        match pair.split_once('=') {
            Some(("volsize" | "refquota", size)) => found.size = size.to_owned(),
            _ => found.set(pair),
        }
    }
    put(disk, name, &found.content());
    Ok(())
}

fn inherit(disk: &mut Disk, property: &str, name: &str) -> Result<(), String> {
    let mut found = get(disk, name)?;
    found.unset(property);
    put(disk, name, &found.content());
    Ok(())
}

/// A property as ZFS prints it, with where it is from; none where the dataset has no such property.
fn property(found: &Dataset, name: &str) -> (String, &'static str) {
    let none = || ("-".to_owned(), "-");
    let is_volume = found.kind == "volume";
    let own = found
        .set
        .iter()
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let default = match name {
        "type" => return (found.kind.clone(), "-"),
        "volsize" if is_volume => return (found.size.clone(), "local"),
        "refquota" if !is_volume => return (found.size.clone(), "local"),
        "origin" => return (found.origin.clone(), "-"),
        "volblocksize" if is_volume => "16384",
        "recordsize" if !is_volume => "131072",
        "atime" if !is_volume => "on",
        "compression" => "lz4",
        "copies" => "1",
        "logbias" => "latency",
        "primarycache" | "secondarycache" | "redundant_metadata" => "all",
        "refreservation" | "reservation" => "0",
        "sync" => "standard",
        _ => return own.map_or_else(none, |own| (own.to_owned(), "local")),
    };
    match own {
        Some("none") if name.ends_with("reservation") => ("0".to_owned(), "local"),
        Some("auto") => (found.size.clone(), "local"),
        Some(own) => (own.to_owned(), "local"),
        None => (default.to_owned(), "default"),
    }
}

/// `zfs get -o name,property,value,source`
fn properties(disk: &Disk, words: &[&str], name: &str) -> Result<String, String> {
    let mut names = vec![name.to_owned()];
    get(disk, name)?;
    if given(words, "-d").next() == Some("1") {
        let below = disk.beside(&format!("{}:", file(name).display()));
        let below = below.iter().filter(|below| !below.contains(['@', ':']));
        names.extend(below.map(|below| format!("{name}/{below}")));
    }
    let wanted = words.len().checked_sub(2).map_or("", |at| words[at]);
    let mut printed = String::new();
    for name in names {
        let found = get(disk, &name)?;
        for wanted in wanted.split(',') {
            let (value, source) = property(&found, wanted);
            printed.push_str(&format!("{name}\t{wanted}\t{value}\t{source}\n"));
        }
    }
    Ok(printed)
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
        "clone" => clone(disk, &words, before.copied().unwrap_or_default(), last).map(nothing),
        "set" => set(disk, &words, last).map(nothing),
        "inherit" => inherit(disk, before.copied().unwrap_or_default(), last).map(nothing),
        "get" if words.contains(&"name,property,value,source") => properties(disk, &words, last),
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
