//! Pools of ZFS.

use std::time::Duration;

use model::Error;
use sys::{Command, SharedHost, SysError};

/// The time-out of calls that only read. Source: Proxmox VE's time-out.
const LOOK: Duration = Duration::from_secs(10);

/// A pool. Sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    pub name: String,
    pub size: u64,
    pub alloc: u64,
    pub free: u64,
    /// In percent.
    pub frag: u64,
    /// How often a block is used, on average.
    pub dedup: f64,
    /// How many times smaller than what was written it is.
    pub compression: f64,
    /// `ONLINE`, `DEGRADED`, …
    pub health: String,
}

/// What `zpool status` says of a pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    pub state: String,
    pub status: Option<String>,
    pub action: Option<String>,
    pub scan: Option<String>,
    pub errors: String,
    /// The pool itself, with what it is made of.
    pub devices: Vec<Device>,
}

/// A pool, what joins disks, or a disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Device {
    pub name: String,
    pub state: Option<String>,
    /// Errors in reading, in writing, and of checksums.
    pub errors: Option<[f64; 3]>,
    pub message: String,
    /// By which ZFS knows it for good; none where it was not asked for.
    pub guid: Option<String>,
    pub children: Vec<Device>,
}

/// What is said where ZFS is not.
pub(crate) const NOT_INSTALLED: &str = "zfsutils-linux not installed";

async fn ask(host: &SharedHost, program: &str, args: &[&str]) -> Result<String, Error> {
    answer(host, Command::new(program).args(args.iter().copied())).await
}

pub(super) async fn answer(host: &SharedHost, command: Command) -> Result<String, Error> {
    let program = command.program.clone();
    let output = host.run(command.timeout(Some(LOOK))).await;
    let printed = match output.and_then(|output| output.checked(&program)) {
        Err(SysError::ProgramMissing { .. }) => {
            return Err(Error::unavailable(NOT_INSTALLED));
        }
        printed => printed?,
    };
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// All pools that are imported.
pub async fn pools(host: &SharedHost) -> Result<Vec<Pool>, Error> {
    let args = [
        "list",
        "-H",
        "-p",
        "-o",
        "name,size,alloc,free,frag,dedup,health",
    ];
    let listed = ask(host, "zpool", &args).await?;
    let mut pools: Vec<Pool> = listed.lines().filter_map(pool).collect();
    for pool in &mut pools {
        let args = [
            "get",
            "-H",
            "-p",
            "-o",
            "value",
            "compressratio",
            &pool.name,
        ];
        let ratio = ask(host, "zfs", &args).await?;
        pool.compression = ratio.trim().trim_end_matches('x').parse().unwrap_or(1.0);
    }
    Ok(pools)
}

fn pool(line: &str) -> Option<Pool> {
    let mut fields = line.split('\t');
    let name = fields.next()?.to_owned();
    let mut number = || {
        fields
            .next()?
            .trim_end_matches(['%', 'x'])
            .parse::<f64>()
            .ok()
    };
    let (size, alloc, free) = (number()?, number()?, number()?);
    // Unknown of a pool that is not whole.
    let (frag, dedup) = (number().unwrap_or_default(), number().unwrap_or(1.0));
    Some(Pool {
        name,
        size: size as u64,
        alloc: alloc as u64,
        free: free as u64,
        frag: frag as u64,
        dedup,
        compression: 1.0,
        health: fields.next()?.to_owned(),
    })
}

/// The file systems that storages can be in: name, and bytes available and used. Those of guests are
/// left out.
pub async fn datasets(host: &SharedHost) -> Result<Vec<(String, u64, u64)>, Error> {
    let args = [
        "list",
        "-t",
        "filesystem",
        "-H",
        "-p",
        "-o",
        "name,avail,used",
    ];
    let listed = ask(host, "zfs", &args).await?;
    let is_guests = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or_default();
        last.starts_with("subvol-") || last.starts_with("basevol-")
    };
    let datasets = listed.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let name = fields.next().filter(|name| !is_guests(name))?.to_owned();
        Some((
            name,
            fields.next()?.parse().ok()?,
            fields.next()?.parse().ok()?,
        ))
    });
    Ok(datasets.collect())
}

/// The devices of all pools that are imported, each with its pool's name.
pub async fn members(host: &SharedHost) -> Result<Vec<(String, String)>, Error> {
    let mut members = Vec::new();
    for name in ask(host, "zpool", &["list", "-H", "-o", "name"])
        .await?
        .lines()
    {
        // With the names that the kernel gives them, whatever the pool was made with.
        let printed = ask(host, "zpool", &["status", "-P", "-L", name]).await?;
        let mut paths = Vec::new();
        parse_status(&printed)
            .devices
            .iter()
            .for_each(|device| leaves(device, &mut paths));
        members.extend(paths.into_iter().map(|path| (name.to_owned(), path)));
    }
    Ok(members)
}

fn leaves(device: &Device, paths: &mut Vec<String>) {
    if device.name.starts_with("/dev/") {
        paths.push(device.name.clone());
    }
    device
        .children
        .iter()
        .for_each(|child| leaves(child, paths));
}

/// The pool itself, and all file systems and volumes in it.
pub async fn below(host: &SharedHost, pool: &str) -> Result<Vec<String>, Error> {
    let args = ["list", "-H", "-o", "name", "-r", pool];
    let listed = ask(host, "zfs", &args).await?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// What a pool is made of, and how that is.
pub async fn status(host: &SharedHost, name: &str) -> Result<Status, Error> {
    let printed = ask(host, "zpool", &["status", "-P", name]).await?;
    Ok(parse_status(&printed))
}

/// Reads `zpool status`: words before a colon, and below `config:` a tree by indentation.
pub(super) fn parse_status(printed: &str) -> Status {
    let mut status = Status::default();
    let mut key = String::new();
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut tree: Vec<(usize, Device)> = Vec::new();
    for line in printed.lines() {
        let head = line.trim_start().split_once(':').filter(|(word, _)| {
            !line.starts_with('\t') && word.chars().all(|c| c.is_ascii_lowercase())
        });
        if let Some((word, rest)) = head {
            key = word.to_owned();
            texts.push((key.clone(), rest.trim().to_owned()));
        } else if key == "config" {
            tree.extend(device(line));
        } else if let Some((_, text)) = texts.last_mut() {
            text.push(' ');
            text.push_str(line.trim());
        }
    }
    let mut text = |key: &str| {
        let found = texts.iter().position(|(found, _)| found == key)?;
        Some(texts.swap_remove(found).1.trim().to_owned())
    };
    status.state = text("state").unwrap_or_default();
    status.errors = text("errors").unwrap_or_default();
    (status.status, status.action, status.scan) = (text("status"), text("action"), text("scan"));
    status.devices = nest(&mut tree.into_iter().peekable(), 0);
    status
}

/// One line of the tree with its depth; none for an empty line and the heading.
fn device(line: &str) -> Option<(usize, Device)> {
    let line = line.strip_prefix('\t')?;
    let depth = line.len() - line.trim_start().len();
    let mut words = line.split_whitespace();
    let name = words.next().filter(|name| *name != "NAME")?.to_owned();
    let state = words.next().map(str::to_owned);
    let mut errors = [0.0; 3];
    let mut are_known = true;
    for count in &mut errors {
        match words.next().and_then(error_count) {
            Some(number) => *count = number,
            None => are_known = false,
        }
    }
    let message: Vec<&str> = words.collect();
    Some((
        depth,
        Device {
            name,
            state,
            errors: are_known.then_some(errors),
            message: message.join(" "),
            guid: None,
            children: Vec::new(),
        },
    ))
}

/// `3`, or shortened as `1.2K`.
fn error_count(text: &str) -> Option<f64> {
    let (digits, factor) = match text.strip_suffix(['K', 'M']) {
        Some(digits) if text.ends_with('K') => (digits, 1e3),
        Some(digits) => (digits, 1e6),
        None => (text, 1.0),
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

/// All devices that are this deep, each with those that are deeper and follow it.
fn nest(
    lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, Device)>>,
    depth: usize,
) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    while let Some((found, _)) = lines.peek() {
        let found = *found;
        if found < depth {
            break;
        }
        if found > depth && !devices.is_empty() {
            let children = nest(lines, found);
            if let Some(last) = devices.last_mut() {
                last.children = children;
            }
            continue;
        }
        devices.extend(lines.next().map(|(_, device)| device));
    }
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEGRADED: &str = "  pool: tank
 state: DEGRADED
status: One or more devices could not be used because the label is missing or
\tinvalid.  Sufficient replicas exist for the pool to continue
\tfunctioning in a degraded state.
action: Replace the device using 'zpool replace'.
  scan: scrub repaired 0B in 00:00:01 with 0 errors on Sun Nov  1 00:24:02 2026
config:

\tNAME                      STATE     READ WRITE CKSUM
\ttank                      DEGRADED     0     0     0
\t  mirror-0                DEGRADED     0     0     0
\t    /dev/vdb1             ONLINE       0     0     0
\t    9321                  UNAVAIL      0  1.2K     0  was /dev/vdc1
\tlogs
\t  /dev/vdd1               ONLINE       0     0     0

errors: No known data errors
";

    #[test]
    fn a_degraded_mirror_is_shown_as_a_tree() {
        let status = parse_status(DEGRADED);
        assert_eq!(status.state, "DEGRADED");
        assert_eq!(status.errors, "No known data errors");
        assert!(
            status
                .status
                .unwrap()
                .ends_with("functioning in a degraded state.")
        );
        assert!(status.scan.unwrap().starts_with("scrub repaired 0B"));
        let [tank, logs] = &status.devices[..] else {
            panic!("{:?}", status.devices);
        };
        let [mirror] = &tank.children[..] else {
            panic!("{tank:?}")
        };
        assert_eq!(mirror.name, "mirror-0");
        let lost = &mirror.children[1];
        assert_eq!(lost.errors, Some([0.0, 1200.0, 0.0]));
        assert_eq!(lost.message, "was /dev/vdc1");
        assert_eq!((logs.name.as_str(), logs.state.as_deref()), ("logs", None));
        assert_eq!(logs.children.len(), 1);
    }

    #[test]
    fn pools_are_read_as_zpool_prints_them() {
        let found = pool("tank\t1000\t400\t600\t7\t1.25\tONLINE").unwrap();
        assert_eq!((found.size, found.alloc, found.free), (1000, 400, 600));
        assert_eq!(
            (found.frag, found.dedup, found.health.as_str()),
            (7, 1.25, "ONLINE")
        );
        assert_eq!(pool(""), None);
        assert_eq!(pool("t\t1\t1\t0\t-\t1.00\tFAULTED").unwrap().frag, 0);
    }
}
