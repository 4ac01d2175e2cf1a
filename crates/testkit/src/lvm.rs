//! LVM's programs on the files of a fake host: a volume is a file `/lvm/GROUP/NAME` of its size that
//! holds its attributes and its pool, and while it is active there is its device `/dev/GROUP/NAME`.

use std::path::PathBuf;

use serde_json::{Value, json};
use sys::{Command, Output};

use crate::host::Disk;

/// A volume, with its attributes as lvs(8) lists them.
struct Volume {
    attributes: Vec<u8>,
    pool: String,
    size: u64,
}

/// What LVM rounds sizes up to.
const EXTENT: u64 = 4 << 20;

fn file(full: &str) -> PathBuf {
    PathBuf::from(format!("/lvm/{full}"))
}

fn device(full: &str) -> PathBuf {
    PathBuf::from(format!("/dev/{full}"))
}

fn get(disk: &Disk, full: &str) -> Option<Volume> {
    let path = file(full);
    let content = String::from_utf8(disk.content(&path)?).ok()?;
    let (attributes, pool) = content.split_once(' ')?;
    Some(Volume {
        attributes: attributes.as_bytes().to_vec(),
        pool: pool.to_owned(),
        size: disk.size(&path)?,
    })
}

fn put(disk: &mut Disk, full: &str, volume: &Volume) -> Option<()> {
    let attributes = String::from_utf8_lossy(&volume.attributes);
    let content = format!("{attributes} {}", volume.pool);
    disk.put(&file(full), content.into_bytes(), volume.size)
        .ok()?;
    match volume.attributes[4] {
        b'a' => disk
            .put(&device(full), b"volume".to_vec(), volume.size)
            .ok(),
        _ => {
            disk.take_away(&device(full));
            Some(())
        }
    }
}

/// The word after an option.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1).copied()
}

fn bytes(size: &str) -> Option<u64> {
    let size: u64 = size.strip_suffix('b')?.parse().ok()?;
    Some(size.next_multiple_of(EXTENT))
}

/// `lvs`, `lvcreate`, `lvchange`, `lvremove`, `lvrename` and `lvextend`, as far as the storage driver
/// calls them; `lvmconfig` knows nothing.
pub fn lvm(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let last = words.last().copied().unwrap_or_default();
    let done = match command.program.as_str() {
        "lvs" => Some(list(disk, last)),
        "lvcreate" => create(disk, &words).map(|()| String::new()),
        "lvchange" => change(disk, &words, last).map(|()| String::new()),
        "lvremove" => {
            for full in words.iter().filter(|word| word.contains('/')) {
                disk.take_away(&device(full));
                disk.take_away(&file(full));
            }
            Some(String::new())
        }
        "lvrename" => rename(disk, &words).map(|()| String::new()),
        "lvextend" => extend(disk, &words, last).map(|()| String::new()),
        _ => None,
    };
    match done {
        Some(text) => Output {
            code: Some(0),
            stdout: text.into_bytes(),
            stderr: Vec::new(),
        },
        None => Output {
            code: Some(5),
            stdout: Vec::new(),
            stderr: b"  cannot".to_vec(),
        },
    }
}

fn list(disk: &Disk, group: &str) -> String {
    let names = disk.beside(&format!("/lvm/{group}/")).into_iter();
    let volumes: Vec<Value> = names
        .filter_map(|name| {
            let volume = get(disk, &format!("{group}/{name}"))?;
            Some(json!({
                "lv_name": name,
                "lv_size": volume.size.to_string(),
                "lv_attr": String::from_utf8_lossy(&volume.attributes),
                "pool_lv": volume.pool,
                "data_percent": "0.00",
                "lv_time": "0",
            }))
        })
        .collect();
    json!({"report": [{"lv": volumes}]}).to_string()
}

fn create(disk: &mut Disk, words: &[&str]) -> Option<()> {
    let name = option(words, "--name")?;
    let (group, volume) = match option(words, "--snapshot") {
        Some(origin) => {
            let volume = get(disk, origin)?;
            let attributes = match option(words, "--permission") {
                Some("r") => b"Vri---tz-k",
                _ => b"Vwi---tz-k",
            };
            let attributes = attributes.to_vec();
            (
                origin.split_once('/')?.0,
                Volume {
                    attributes,
                    ..volume
                },
            )
        }
        None => {
            let (group, pool) = option(words, "--thinpool")?.split_once('/')?;
            let volume = Volume {
                attributes: b"Vwi---tz-k".to_vec(),
                pool: pool.to_owned(),
                size: bytes(option(words, "--virtualsize")?)?,
            };
            (group, volume)
        }
    };
    put(disk, &format!("{group}/{name}"), &volume)
}

fn change(disk: &mut Disk, words: &[&str], full: &str) -> Option<()> {
    let mut volume = get(disk, full)?;
    for (name, at, letters) in [
        ("--activate", 4, (b'a', b'-')),
        ("--permission", 1, (b'w', b'r')),
    ] {
        match option(words, name) {
            Some("y" | "rw") => volume.attributes[at] = letters.0,
            Some("n" | "r") => volume.attributes[at] = letters.1,
            _ => {}
        }
    }
    put(disk, full, &volume)
}

fn rename(disk: &mut Disk, words: &[&str]) -> Option<()> {
    let [.., group, from, to] = words else {
        return None;
    };
    let from = format!("{group}/{from}");
    let volume = get(disk, &from)?;
    disk.take_away(&device(&from));
    disk.take_away(&file(&from));
    put(disk, &format!("{group}/{to}"), &volume)
}

fn extend(disk: &mut Disk, words: &[&str], full: &str) -> Option<()> {
    let mut volume = get(disk, full)?;
    volume.size = bytes(option(words, "--size")?)?;
    put(disk, full, &volume)
}
