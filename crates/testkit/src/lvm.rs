//! LVM's programs on the files of a fake host: a volume is a file `/lvm/GROUP/NAME` of its size that
//! holds its attributes, its pool, and the key that it is encrypted with. While it is active there is its device
//! `/dev/GROUP/NAME`, and while `cryptsetup` has it open, its plain side in `/dev/mapper`.

use std::path::PathBuf;

use serde_json::{Value, json};
use sys::{Command, Output};

use crate::host::Disk;

/// The programs that `lvm` stands for.
pub const LVM_PROGRAMS: [&str; 7] = [
    "lvs",
    "lvcreate",
    "lvchange",
    "lvremove",
    "lvrename",
    "lvextend",
    "lvmconfig",
];

/// A volume, with its attributes as lvs(8) lists them.
struct Volume {
    attributes: Vec<u8>,
    pool: String,
    /// Empty for a volume in the clear.
    key: String,
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
    let (attributes, rest) = content.split_once(' ')?;
    let (pool, key) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Volume {
        attributes: attributes.as_bytes().to_vec(),
        pool: pool.to_owned(),
        key: key.to_owned(),
        size: disk.size(&path)?,
    })
}

fn put(disk: &mut Disk, full: &str, volume: &Volume) -> Option<()> {
    let attributes = String::from_utf8_lossy(&volume.attributes);
    let content = match volume.key.as_str() {
        "" => format!("{attributes} {}", volume.pool),
        key => format!("{attributes} {} {key}", volume.pool),
    };
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

/// What a change prints, or why it cannot be made, in LVM's words.
type Done = Result<String, String>;

fn missing(full: &str) -> String {
    format!("  Failed to find logical volume \"{full}\"")
}

fn find(disk: &Disk, full: &str) -> Result<Volume, String> {
    get(disk, full).ok_or_else(|| missing(full))
}

fn check_free(disk: &Disk, full: &str) -> Result<(), String> {
    match get(disk, full) {
        None => Ok(()),
        Some(_) => Err(format!(
            "  Logical Volume \"{full}\" already exists in volume group"
        )),
    }
}

/// The plain side of a volume that `cryptsetup` has open.
fn plain(full: &str) -> PathBuf {
    let (group, name) = full.split_once('/').unwrap_or((full, ""));
    let [group, name] = [group, name].map(|part| part.replace('-', "--"));
    PathBuf::from(format!("/dev/mapper/{group}-{name}-crypt"))
}

fn check_closed(disk: &Disk, full: &str) -> Result<(), String> {
    match disk.content(&plain(full)) {
        None => Ok(()),
        Some(_) => Err(format!(
            "  Logical volume {full} is used by another device."
        )),
    }
}

/// `cryptsetup`, as far as the storage drivers call it. What it opens are volumes.
pub fn cryptsetup(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let key = String::from_utf8_lossy(&command.input).into_owned();
    let code = match words[..] {
        ["--version"] => 0,
        ["luksFormat", .., path] => match path
            .strip_prefix("/dev/")
            .map(|full| (full, get(disk, full)))
        {
            Some((full, Some(mut volume))) if volume.attributes[4] == b'a' && !key.is_empty() => {
                volume.key = key;
                put(disk, full, &volume).map_or(1, |()| 0)
            }
            _ => 4,
        },
        ["open", .., path, _] => match path
            .strip_prefix("/dev/")
            .map(|full| (full, get(disk, full)))
        {
            Some((_, Some(volume))) if volume.key.is_empty() => 1,
            Some((_, Some(volume))) if volume.key != key => 2,
            Some((full, Some(volume))) if volume.attributes[4] == b'a' => {
                let size = volume.size - EXTENT;
                disk.put(&plain(full), b"plain".to_vec(), size)
                    .map_or(1, |()| 0)
            }
            _ => 4,
        },
        ["close", mapping] => {
            let path = PathBuf::from("/dev/mapper").join(mapping);
            if disk.take_away(&path) { 0 } else { 4 }
        }
        ["resize", _] => 0,
        _ => 1,
    };
    let stderr = match code {
        1 => "Device is not a valid LUKS device.",
        _ => "",
    };
    Output {
        code: Some(code),
        stdout: Vec::new(),
        stderr: stderr.as_bytes().to_vec(),
    }
}

/// Which volumes a call is about: those that it names, or those of the group that `--select` says:
/// `(lv_name="NAME" || …) && pool_lv="POOL" && lv_attr=~"^V"`, or `lv_attr=~"^[-mMrR]"`.
fn meant(disk: &Disk, words: &[&str]) -> Vec<String> {
    let Some(select) = option(words, "--select") else {
        // What `--config` says has paths of devices.
        let named = words
            .iter()
            .filter(|word| word.contains('/') && !word.contains(' '));
        return named.map(|full| (*full).to_owned()).collect();
    };
    let group = words.last().copied().unwrap_or_default();
    let is_selected = |name: &str, volume: &Volume| {
        let is_true = |term: &str| match term.split_once('=') {
            Some(("lv_name", value)) => value.trim_matches('"') == name,
            Some(("pool_lv", value)) => value.trim_matches('"') == volume.pool,
            Some(("lv_attr", "~\"^V\"")) => volume.attributes[0] == b'V',
            Some(("lv_attr", "~\"^[-mMrR]\"")) => b"-mMrR".contains(&volume.attributes[0]),
            _ => false,
        };
        let any = |terms: &str| terms.trim_matches(['(', ')']).split(" || ").any(is_true);
        select.split(" && ").all(any)
    };
    let names = disk.beside(&format!("/lvm/{group}/")).into_iter();
    let full = names.map(|name| (format!("{group}/{name}"), name));
    let selected = full
        .filter(|(full, name)| get(disk, full).is_some_and(|volume| is_selected(name, &volume)));
    selected.map(|(full, _)| full).collect()
}

/// `lvs`, `lvcreate`, `lvchange`, `lvremove`, `lvrename` and `lvextend`, as far as the storage driver
/// calls them; `lvmconfig` knows nothing.
pub fn lvm(disk: &mut Disk, command: &Command) -> Output {
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let last = words.last().copied().unwrap_or_default();
    let done = match command.program.as_str() {
        "lvs" => Ok(list(disk, last)),
        "lvcreate" => create(disk, &words),
        "lvchange" => meant(disk, &words)
            .iter()
            .try_fold(String::new(), |_, full| change(disk, &words, full)),
        "lvremove" => meant(disk, &words)
            .iter()
            .try_fold(String::new(), |printed, full| {
                find(disk, full)?;
                check_closed(disk, full)?;
                disk.take_away(&device(full));
                disk.take_away(&file(full));
                Ok(printed + "  Logical volume successfully removed.\n")
            }),
        "lvrename" => rename(disk, &words),
        "lvextend" => extend(disk, &words, last),
        _ => Err("  cannot".to_owned()),
    };
    match done {
        Ok(text) => Output {
            code: Some(0),
            stdout: text.into_bytes(),
            stderr: Vec::new(),
        },
        Err(why) => Output {
            code: Some(5),
            stdout: Vec::new(),
            stderr: why.into_bytes(),
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

fn create(disk: &mut Disk, words: &[&str]) -> Done {
    let name = option(words, "--name").ok_or("  no name")?;
    let (group, volume) = if let Some(origin) = option(words, "--snapshot") {
        let (group, of) = origin.split_once('/').ok_or("  no group")?;
        let none = || format!("  Snapshot origin LV {of} not found in Volume group {group}.");
        let volume = get(disk, origin).ok_or_else(none)?;
        let attributes = match option(words, "--permission") {
            Some("r") => b"Vri---tz-k",
            _ => b"Vwi---tz-k",
        };
        let attributes = attributes.to_vec();
        (
            group,
            Volume {
                attributes,
                ..volume
            },
        )
    } else if let Some(pool) = option(words, "--thinpool") {
        let (group, pool) = pool.split_once('/').ok_or("  no group")?;
        let size = option(words, "--virtualsize").and_then(bytes);
        let volume = Volume {
            attributes: b"Vwi---tz-k".to_vec(),
            pool: pool.to_owned(),
            key: String::new(),
            size: size.ok_or("  no size")?,
        };
        (group, volume)
    } else {
        let size = option(words, "--size").and_then(bytes);
        let volume = Volume {
            attributes: b"-wi-a-----".to_vec(),
            pool: String::new(),
            key: String::new(),
            size: size.ok_or("  no size")?,
        };
        (words.last().copied().unwrap_or_default(), volume)
    };
    let full = format!("{group}/{name}");
    check_free(disk, &full)?;
    put(disk, &full, &volume).ok_or("  cannot write")?;
    Ok(String::new())
}

fn change(disk: &mut Disk, words: &[&str], full: &str) -> Done {
    let mut volume = find(disk, full)?;
    if option(words, "--activate") == Some("n") {
        check_closed(disk, full)?;
    }
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
    put(disk, full, &volume).ok_or("  cannot write")?;
    Ok(String::new())
}

fn rename(disk: &mut Disk, words: &[&str]) -> Done {
    let [.., group, from, to] = words else {
        return Err("  no names".to_owned());
    };
    let (from, to) = (format!("{group}/{from}"), format!("{group}/{to}"));
    let volume = find(disk, &from)?;
    check_free(disk, &to)?;
    disk.take_away(&device(&from));
    disk.take_away(&file(&from));
    put(disk, &to, &volume).ok_or("  cannot write")?;
    Ok(String::new())
}

fn extend(disk: &mut Disk, words: &[&str], full: &str) -> Done {
    let mut volume = find(disk, full)?;
    let size = option(words, "--size").and_then(bytes);
    volume.size = size.ok_or("  no size")?;
    put(disk, full, &volume).ok_or("  cannot write")?;
    Ok(String::new())
}
