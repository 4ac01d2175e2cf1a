//! The units (LUNs) of a target of iSCSI that the kernel logs in to: disks of the node. They are made
//! and removed at the target, so here they are only listed and used.
//!
//! ```text
//!   portal ──discovery──► portals of the target ──login──► sessions ──► disks, 0.0.1.scsi-3600…
//! ```
//!
//! A session belongs to the node: storages of one target share it, and it stays when a storage is
//! removed, as with Proxmox VE. One whose portal is gone is taken up again by open-iscsi itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};
use sys::{Command, Output, SharedHost, SpaceUsage, SysError};
use tokio::sync::Mutex;

use crate::iscsidirect::{NO_RENAME, NO_RESIZE, NO_SPACE, NOT_FREED, with_port};
use crate::reach::answers;
use crate::{
    AttachMode, Attacher, ContentType, FileVolumes, IscsiSpec, LinkedClones, Snapshots, Storage,
    StorageConfig, StorageError, VolumeInfo, VolumeName,
};

/// How long open-iscsi may take. A login waits for the target.
const ASK: Duration = Duration::from_secs(10);
const LOGIN: Duration = Duration::from_secs(30);

/// What `iscsiadm` ends with where there is nothing of the kind, and where there is a session already
/// (iscsiadm(8)).
const NONE_FOUND: i32 = 21;
const SESSION_EXISTS: i32 = 15;

/// Where disks have names that stay.
const BY_ID: &str = "/dev/disk/by-id";

/// The size of a sector in sysfs, whatever the disk has.
const SECTOR: u64 = 512;

pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    stable_name(name).map(|_| VolumeName {
        content: ContentType::Images,
        format: "raw".to_owned(),
        image_format: Some(BlockFormat::Raw),
        owner: None,
        image: name.to_owned(),
        base: None,
        is_base: false,
    })
}

/// The name below `BY_ID` in `CHANNEL.ID.LUN.NAME`.
fn stable_name(name: &str) -> Option<&str> {
    let mut parts = name.splitn(4, '.');
    let are_numbers = parts
        .by_ref()
        .take(3)
        .all(|part| part.parse::<u32>().is_ok());
    let last = parts.next()?;
    let is_good = |c: char| c.is_ascii_graphic() && c != '/';
    (are_numbers && !last.is_empty() && last.chars().all(is_good)).then_some(last)
}

pub(crate) struct Iscsi {
    config: StorageConfig,
    spec: IscsiSpec,
    host: SharedHost,
    /// Held while logging in: a portal has one session.
    turn: Mutex<()>,
}

/// A session, as open-iscsi shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Session {
    id: String,
    target: String,
    /// Address and port.
    portal: String,
    is_logged_in: bool,
    /// `0.0.1` and `sdb`.
    disks: Vec<(String, String)>,
}

/// A unit, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unit {
    /// `0.0.1`
    address: String,
    device: String,
    /// Its names below `BY_ID`, sorted.
    names: Vec<String>,
}

impl Unit {
    fn volume(&self) -> Option<String> {
        let name = self.names.last()?;
        Some(format!("{}.{name}", self.address))
    }
}

impl Iscsi {
    pub(crate) fn new(config: StorageConfig, spec: IscsiSpec, host: SharedHost) -> Self {
        Self {
            config,
            spec,
            host,
            turn: Mutex::default(),
        }
    }

    fn silent(&self) -> StorageError {
        StorageError::Silent(self.config.id().clone())
    }

    fn inactive(&self, reason: String) -> StorageError {
        StorageError::Inactive {
            storage: self.config.id().clone(),
            reason,
        }
    }

    fn failed(&self, error: SysError) -> StorageError {
        match error {
            SysError::ProgramTimeout { .. } => self.silent(),
            error => StorageError::of(self.config.id(), error),
        }
    }

    async fn ask(&self, args: &[&str], timeout: Duration) -> Result<Output, StorageError> {
        let command = Command::new("iscsiadm").args(args.iter().copied());
        let ended = self.host.run(command.timeout(Some(timeout))).await;
        ended.map_err(|error| self.failed(error))
    }

    /// What is printed, where it found something.
    async fn listed(&self, args: &[&str]) -> Result<String, StorageError> {
        let output = self.ask(args, ASK).await?;
        match output.code {
            Some(NONE_FOUND) => Ok(String::new()),
            _ => {
                let printed = output.checked("iscsiadm");
                let printed = printed.map_err(|error| self.failed(error))?;
                Ok(String::from_utf8_lossy(&printed).into_owned())
            }
        }
    }

    /// The sessions with the target.
    async fn sessions(&self) -> Result<Vec<Session>, StorageError> {
        let printed = self.listed(&["--mode", "session", "--print", "3"]).await?;
        let mut sessions = parse_sessions(&printed);
        sessions.retain(|session| session.target == self.spec.target);
        Ok(sessions)
    }

    /// The portals that the target is known to have.
    async fn portals(&self) -> Result<Vec<String>, StorageError> {
        let printed = self.listed(&["--mode", "node"]).await?;
        Ok(portals_of(&printed, &self.spec.target))
    }

    /// Asks the portal for its targets, which notes all portals of each.
    async fn discover(&self) -> Result<(), StorageError> {
        let portal = with_port(&self.spec.portal);
        let args = ["--mode", "discovery", "--type", "sendtargets", "--portal"];
        let output = self.ask(&[&args[..], &[&portal]].concat(), ASK).await?;
        if !output.success() {
            return Err(self.inactive(format!("iscsiadm: {}", output.complaint())));
        }
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        match portals_of(&printed, &self.spec.target).is_empty() {
            true => {
                let text = format!("the portal has no target '{}'", self.spec.target);
                Err(self.inactive(text))
            }
            false => Ok(()),
        }
    }

    /// Logs in at a portal, which is tried once: the next activation tries again.
    async fn log_in(&self, portal: &str) -> Result<(), StorageError> {
        let node = [
            "--mode",
            "node",
            "--targetname",
            &self.spec.target,
            "--portal",
            portal,
        ];
        let once = [
            "--op",
            "update",
            "--name",
            "node.session.initial_login_retry_max",
            "--value",
            "0",
        ];
        for (more, timeout) in [(&once[..], ASK), (&["--login"][..], LOGIN)] {
            let output = self.ask(&[&node[..], more].concat(), timeout).await?;
            if !output.success() && output.code != Some(SESSION_EXISTS) {
                return Err(self.inactive(format!("iscsiadm: {}", output.complaint())));
            }
        }
        Ok(())
    }

    /// Logs in at the portals that have no session yet. Succeeds if one does.
    async fn log_in_everywhere(&self, sessions: &[Session]) -> Result<(), StorageError> {
        let portals = self.portals().await?;
        let has_session = |portal: &&String| sessions.iter().any(|one| one.portal == **portal);
        let mut result = Err(self.silent());
        for portal in portals.iter().filter(|portal| !has_session(portal)) {
            if !takes_connections(portal).await {
                continue;
            }
            match self.log_in(portal).await {
                Ok(()) => result = Ok(()),
                failed if result.is_err() => result = failed,
                _ => {}
            }
        }
        result
    }

    /// The units that the kernel knows now.
    async fn known(&self, sessions: &[Session]) -> Result<Vec<Unit>, StorageError> {
        let mut units = Vec::new();
        for (address, device) in sessions.iter().flat_map(|session| &session.disks) {
            let path = format!("/dev/{device}");
            let command = Command::new("udevadm")
                .args(["info", "--query=symlink", "--name", &path])
                .timeout(Some(ASK));
            let asked = self
                .host
                .run(command)
                .await
                .map_err(|error| self.failed(error))?;
            units.push(Unit {
                address: address.clone(),
                device: device.clone(),
                names: names_of(&String::from_utf8_lossy(&asked.stdout)),
            });
        }
        Ok(units)
    }

    /// Looks for units that were added at the target, and for portals that were not there.
    async fn look_again(&self, sessions: &[Session]) -> Result<Vec<Session>, StorageError> {
        let _turn = self.turn.lock().await;
        // What is known without it is known still.
        let _ = self.log_in_everywhere(sessions).await;
        for session in sessions.iter().filter(|session| session.is_logged_in) {
            let args = ["--mode", "session", "--sid", &session.id, "--rescan"];
            self.ask(&args, ASK).await?;
        }
        let settle = Command::new("udevadm")
            .args(["settle", "--timeout=5"])
            .timeout(Some(ASK));
        self.host
            .run(settle)
            .await
            .map_err(|error| self.failed(error))?;
        self.sessions().await
    }

    /// The sessions of a target that answers.
    async fn answering(&self) -> Result<Vec<Session>, StorageError> {
        let sessions = self.sessions().await?;
        if sessions.iter().any(|session| session.is_logged_in) {
            return Ok(sessions);
        }
        Err(match sessions.is_empty() {
            true => self.inactive(format!("no session with target '{}'", self.spec.target)),
            false => self.silent(),
        })
    }

    /// The unit of a volume, once for each way to it; looked for at the target where it is not known.
    async fn find(&self, name: &str) -> Result<Vec<Unit>, StorageError> {
        let bad = || StorageError::BadName(name.to_owned());
        let stable = stable_name(name).ok_or_else(bad)?;
        let is_it = |unit: &Unit| {
            let is_there = unit.names.iter().any(|one| one == stable);
            is_there
                && name
                    .strip_prefix(&unit.address)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        let sessions = self.answering().await?;
        let mut units = self.known(&sessions).await?;
        units.retain(is_it);
        if units.is_empty() {
            let sessions = self.look_again(&sessions).await?;
            units = self.known(&sessions).await?;
            units.retain(is_it);
        }
        Ok(units)
    }

    async fn describe(&self, unit: &Unit, name: String) -> Result<VolumeInfo, StorageError> {
        let path = format!("/sys/class/block/{}/size", unit.device);
        let read = self.host.read(Path::new(&path)).await;
        let read = read.map_err(|error| self.failed(error))?;
        let sectors: u64 = String::from_utf8_lossy(&read)
            .trim()
            .parse()
            .unwrap_or_default();
        Ok(VolumeInfo {
            name,
            content: ContentType::Images,
            format: "raw".to_owned(),
            size: sectors * SECTOR,
            used: None,
            created: 0,
            owner: None,
        })
    }

    /// Whether a device is one of these, or a device of multipath above one.
    async fn is_of(&self, device: &Path, units: &[Unit]) -> Result<bool, StorageError> {
        let file = device
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_unit = |name: &str| units.iter().any(|unit| unit.device == name);
        if is_unit(&file) {
            return Ok(true);
        }
        let below = format!("/sys/class/block/{file}/slaves");
        let below = self.host.list(Path::new(&below)).await;
        let below = below.map_err(|error| self.failed(error))?;
        Ok(below.iter().any(|one| is_unit(&one.name)))
    }

    fn refused<T>(&self, name: &str, text: &str) -> Result<T, StorageError> {
        self.config.parse(name)?;
        Err(StorageError::Refused(text.to_owned()))
    }
}

async fn takes_connections(portal: &str) -> bool {
    let Some((host, port)) = portal.rsplit_once(':') else {
        return false;
    };
    let host = host.trim_matches(['[', ']']);
    match port.parse() {
        Ok(port) => answers(host, &[port]).await,
        Err(_) => false,
    }
}

/// Reads `10.0.0.1:3260,1 iqn.2003-01.org.x:t`.
fn portals_of(printed: &str, target: &str) -> Vec<String> {
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    let mut portals: Vec<String> = lines
        .filter(|(_, name)| name.trim() == target)
        .map(|(portal, _)| before_group(portal).to_owned())
        .collect();
    portals.dedup();
    portals
}

/// A portal without the number of its group.
fn before_group(portal: &str) -> &str {
    portal.split_once(',').map_or(portal, |(portal, _)| portal)
}

/// Reads what `iscsiadm --mode session --print 3` prints of all sessions.
fn parse_sessions(printed: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let (mut target, mut address) = (String::new(), String::new());
    for line in printed.lines().map(str::trim) {
        let after = |begin: &str| line.strip_prefix(begin).map(str::trim);
        if let Some(rest) = after("Target:") {
            let name = rest.split_whitespace().next().unwrap_or_default();
            name.clone_into(&mut target);
        } else if let Some(portal) = after("Current Portal:") {
            sessions.push(Session {
                target: target.clone(),
                portal: before_group(portal).to_owned(),
                ..Session::default()
            });
        } else if let Some(session) = sessions.last_mut() {
            if let Some(id) = after("SID:") {
                id.clone_into(&mut session.id);
            } else if let Some(state) = after("iSCSI Session State:") {
                session.is_logged_in = state == "LOGGED_IN";
            } else if line.starts_with("scsi") && line.contains(" Lun:") {
                address = address_of(line).unwrap_or_default();
            } else if let Some(disk) = after("Attached scsi disk")
                && let Some(device) = disk.split_whitespace().next()
                && !address.is_empty()
            {
                session
                    .disks
                    .push((std::mem::take(&mut address), device.to_owned()));
            }
        }
    }
    sessions
}

/// Reads `scsi2 Channel 00 Id 0 Lun: 1`.
fn address_of(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let mut number = |name: &str| -> Option<u32> {
        words.by_ref().find(|word| *word == name)?;
        words.next()?.parse().ok()
    };
    let (channel, id, unit) = (number("Channel")?, number("Id")?, number("Lun:")?);
    Some(format!("{channel}.{id}.{unit}"))
}

/// The names below `BY_ID` that say which disk it is, in links as udev lists them.
fn names_of(links: &str) -> Vec<String> {
    let below = links
        .split_whitespace()
        .filter_map(|link| link.strip_prefix("disk/by-id/"));
    let is_meant = |name: &&str| name.starts_with("scsi-") || name.starts_with("dm-uuid-mpath-");
    let mut names: Vec<String> = below.filter(is_meant).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[async_trait]
impl Storage for Iscsi {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    async fn activate(&self) -> Result<(), StorageError> {
        let _turn = self.turn.lock().await;
        let sessions = self.sessions().await?;
        if sessions.iter().any(|session| session.is_logged_in) {
            return Ok(());
        }
        // open-iscsi takes up a session that it has by itself.
        if !sessions.is_empty() || !takes_connections(&with_port(&self.spec.portal)).await {
            return Err(self.silent());
        }
        self.discover().await?;
        self.log_in_everywhere(&sessions).await
    }

    /// A target does not say how full it is. Source: Proxmox VE's figures.
    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        self.answering().await?;
        Ok(SpaceUsage::default())
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        if content.is_some_and(|content| content != ContentType::Images) {
            return Ok(Vec::new());
        }
        let sessions = self.answering().await?;
        let sessions = self.look_again(&sessions).await?;
        // By more than one way it is one unit.
        let mut units = BTreeMap::new();
        for unit in self.known(&sessions).await? {
            if let Some(name) = unit.volume() {
                units.insert(name, unit);
            }
        }
        let mut volumes = Vec::new();
        for (name, unit) in units {
            volumes.push(self.describe(&unit, name).await?);
        }
        Ok(volumes)
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        match self.find(name).await?.first() {
            Some(unit) => Ok(Some(self.describe(unit, name.to_owned()).await?)),
            None => Ok(None),
        }
    }

    async fn choose_image_name(
        &self,
        _owner: VmId,
        _format: BlockFormat,
        _taken: &[String],
    ) -> Result<String, StorageError> {
        Err(StorageError::Refused(NO_SPACE.to_owned()))
    }

    /// No unit is called so, and none can be made.
    fn image_name(&self, owner: VmId, what: &str, _format: BlockFormat) -> String {
        format!("vm-{owner}-{what}")
    }

    async fn allocate(
        &self,
        _name: &str,
        _format: BlockFormat,
        _size: u64,
    ) -> Result<(), StorageError> {
        Err(StorageError::Refused(NO_SPACE.to_owned()))
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        self.refused(name, NOT_FREED)
    }

    async fn resize(&self, name: &str, _size: u64) -> Result<(), StorageError> {
        self.refused(name, NO_RESIZE)
    }

    async fn rename(&self, from: &str, _to: &str) -> Result<(), StorageError> {
        self.refused(from, NO_RENAME)
    }

    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        _by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        let none = || StorageError::NoVolume {
            storage: self.config.id().clone(),
            name: name.to_owned(),
        };
        let units = self.find(name).await?;
        if units.is_empty() {
            return Err(none());
        }
        let device = self.host.resolve(&self.path(name)?).await;
        let device = device.map_err(|error| self.failed(error))?;
        if !self.is_of(&device, &units).await? {
            let target = &self.spec.target;
            let text = format!("volume '{name}' not part of target '{target}'");
            return Err(StorageError::Refused(text));
        }
        let source = BlockSource::Device(device.display().to_string());
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            ..BlockSpec::new(source, BlockFormat::Raw)
        })
    }

    /// The session stays.
    async fn detach(&self, name: &str, _by: &Attacher) -> Result<(), StorageError> {
        self.config.parse(name).map(drop)
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        let bad = || StorageError::BadName(name.to_owned());
        Ok(Path::new(BY_ID).join(stable_name(name).ok_or_else(bad)?))
    }

    fn files(&self) -> Option<&dyn FileVolumes> {
        None
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        None
    }

    fn linked_clones(&self) -> Option<&dyn LinkedClones> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 2.1.8 prints it, without parameters of the connection.
    const PRINTED: &str = "\
iSCSI Transport Class version 2.0-870
version 2.1.8
Target: iqn.2026-01.lab:lun (non-flash)
\tCurrent Portal: 10.77.0.1:3260,1
\tPersistent Portal: 10.77.0.1:3260,1
\t\tIface Name: default
\t\tSID: 1
\t\tiSCSI Connection State: LOGGED IN
\t\tiSCSI Session State: LOGGED_IN
\t\tInternal iscsid Session State: NO CHANGE
\t\tAttached SCSI devices:
\t\tHost Number: 2\tState: running
\t\tscsi2 Channel 00 Id 0 Lun: 0
\t\t\tAttached scsi disk sda\t\tState: running
\t\tscsi2 Channel 00 Id 0 Lun: 1
\t\t\tAttached scsi disk sdb\t\tState: running
\tCurrent Portal: [fd00::1]:3260,2
\tPersistent Portal: [fd00::1]:3260,2
\t\tSID: 2
\t\tiSCSI Connection State: TRANSPORT WAIT
\t\tiSCSI Session State: FAILED
\t\tInternal iscsid Session State: REOPEN
\t\tHost Number: 3\tState: running
\t\tscsi3 Channel 00 Id 0 Lun: 7
Target: iqn.2026-01.lab:other (non-flash)
\tCurrent Portal: 10.77.0.1:3260,1
\t\tSID: 3
\t\tiSCSI Session State: LOGGED_IN
";

    #[test]
    fn sessions_have_their_state_and_their_disks() {
        let sessions = parse_sessions(PRINTED);
        let disk = |address: &str, device: &str| (address.to_owned(), device.to_owned());
        let [first, second, other] = &sessions[..] else {
            panic!("{sessions:?}");
        };
        assert_eq!(
            (first.id.as_str(), first.portal.as_str()),
            ("1", "10.77.0.1:3260")
        );
        assert!(first.is_logged_in && !second.is_logged_in && other.is_logged_in);
        assert_eq!(first.disks, [disk("0.0.0", "sda"), disk("0.0.1", "sdb")]);
        assert_eq!(
            (second.portal.as_str(), second.disks.len()),
            ("[fd00::1]:3260", 0)
        );
        assert_eq!(second.target, first.target);
        assert_eq!(other.target, "iqn.2026-01.lab:other");
        assert!(parse_sessions("iscsiadm: No active sessions.\n").is_empty());
    }

    #[test]
    fn portals_are_those_of_the_target() {
        let printed =
            "10.0.0.1:3260,1 iqn.x:a\n10.0.0.2:3260,2 iqn.x:a\n10.0.0.1:3260,1 iqn.x:ab\n";
        assert_eq!(
            portals_of(printed, "iqn.x:a"),
            ["10.0.0.1:3260", "10.0.0.2:3260"]
        );
        assert!(portals_of(printed, "iqn.x").is_empty());
    }

    #[test]
    fn a_volume_is_called_as_its_disk_and_leads_nowhere_else() {
        let links = "disk/by-diskseq/19 disk/by-id/wwn-0x6001405 disk/by-id/scsi-36001405\n\
            disk/by-id/scsi-SLIO-ORG_lun disk/by-path/ip-10.77.0.1:3260-iscsi-x-lun-0";
        let names = names_of(links);
        assert_eq!(names, ["scsi-36001405", "scsi-SLIO-ORG_lun"]);
        let unit = Unit {
            address: "0.0.1".to_owned(),
            device: "sda".to_owned(),
            names,
        };
        let volume = unit.volume().unwrap();
        assert_eq!(volume, "0.0.1.scsi-SLIO-ORG_lun");
        assert_eq!(stable_name(&volume), Some("scsi-SLIO-ORG_lun"));
        assert_eq!(stable_name("0.0.0.scsi-3.a"), Some("scsi-3.a"));
        for bad in [
            "lun1",
            "0.0.scsi-3",
            "0.0.0.",
            "0.0.0.a/../b",
            "0.0.0.a b",
            "x.0.0.scsi-3",
        ] {
            assert_eq!(stable_name(bad), None, "{bad}");
        }
    }
}
