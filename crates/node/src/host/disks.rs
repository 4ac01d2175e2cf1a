//! The disks of a host and what they are used for, from `lsblk` and `smartctl`.

use std::time::Duration;

use model::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sys::{Command, SharedHost};
use tokio::task::JoinSet;

use crate::host::facts::Facts;

/// What is asked of `lsblk`.
const COLUMNS: &str = "NAME,MAJ:MIN,PATH,TYPE,SIZE,ROTA,MODEL,SERIAL,VENDOR,WWN,TRAN,PTTYPE,\
                       PTUUID,PARTTYPE,FSTYPE,LABEL,UUID,MOUNTPOINT";

/// Block devices that are no disks: memory, and what stands for something elsewhere.
const NO_DISKS: [&str; 6] = ["drbd", "nbd", "ram", "rbd", "zd", "zram"];

/// How long the disks may take to say how they are.
const HEALTH_S: u64 = 10;

/// A block device as `lsblk` shows it, with what lies in it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Block {
    pub name: String,
    #[serde(rename = "maj:min")]
    number: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub path: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// In bytes.
    #[serde(deserialize_with = "or_default")]
    pub size: u64,
    /// It turns, or does not say.
    #[serde(deserialize_with = "or_default")]
    pub rota: bool,
    /// How fast it turns, where udev knows.
    #[serde(skip)]
    pub rpm: Option<u64>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub vendor: Option<String>,
    pub wwn: Option<String>,
    /// How it is attached: `usb`, `nvme`, `sata` …
    pub tran: Option<String>,
    pub pttype: Option<String>,
    /// The id of its partition table.
    pub ptuuid: Option<String>,
    pub parttype: Option<String>,
    pub fstype: Option<String>,
    pub label: Option<String>,
    /// The id of the file system, or of what else it holds.
    pub uuid: Option<String>,
    pub mountpoint: Option<String>,
    pub children: Vec<Block>,
}

/// Empty also for `null`.
fn or_default<'de, T, D>(given: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(given)?.unwrap_or_default())
}

/// The types of a partition that mean something to a machine's firmware.
const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";
const EFI_SYSTEM: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// What controllers call the disks that they make of others: the vendor, or none, and how the model
/// begins. Source: their SCSI inquiry data, as Linux prints it.
const RAID_DISKS: [(&str, &str); 12] = [
    ("", "PERC "),
    ("LSI", "MR"),
    ("LSI", "LOGICAL VOLUME"),
    ("AVAGO", "MR"),
    ("BROADCOM", "MR"),
    ("HP", "LOGICAL VOLUME"),
    ("ADAPTEC", ""),
    ("ASR", ""),
    ("ARECA", ""),
    ("AMCC", ""),
    ("IBM", "SERVERAID"),
    ("LENOVO", "RAID"),
];

impl Block {
    /// The partitions of a disk.
    pub fn partitions(&self) -> impl Iterator<Item = &Block> {
        self.children.iter().filter(|child| child.kind == "part")
    }

    /// It, and all that lies in it.
    pub fn all(&self) -> Vec<&Block> {
        let within = self.children.iter().flat_map(Block::all);
        std::iter::once(self).chain(within).collect()
    }

    pub fn is_gpt(&self) -> bool {
        self.pttype.as_deref() == Some("gpt")
    }

    /// It, or something in it, is mounted or swapped to.
    pub fn is_mounted(&self) -> bool {
        self.mountpoint.is_some() || self.children.iter().any(Block::is_mounted)
    }

    /// What it is used for, in Proxmox VE's words; none where it could be had.
    pub fn used(&self) -> Option<String> {
        let own = match (self.fstype.as_deref(), self.parttype.as_deref()) {
            (Some("LVM2_member"), _) => Some("LVM"),
            (Some("zfs_member"), _) => Some("ZFS"),
            (_, Some(BIOS_BOOT)) => Some("BIOS boot"),
            (_, Some(EFI_SYSTEM)) => Some("EFI"),
            _ if self.mountpoint.is_some() => Some("mounted"),
            (Some(other), _) => Some(other),
            (None, _) => None,
        };
        let held = match self.children.first() {
            None => None,
            Some(child) if child.kind == "part" => Some("partitions"),
            Some(_) => Some("Device Mapper"),
        };
        own.or(held).map(str::to_owned)
    }

    /// What to know before a disk is given to ZFS that hides others behind itself.
    pub fn raid_warning(&self) -> Option<String> {
        let text =
            |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_uppercase();
        let (vendor, model) = (text(&self.vendor), text(&self.model));
        let is_raid = RAID_DISKS.iter().any(|(made_by, called)| {
            (made_by.is_empty() || vendor.starts_with(made_by)) && model.starts_with(called)
        });
        let path = &self.path;
        is_raid.then(|| {
            format!(
                "{path} ({model}) is made by a RAID controller: ZFS sees neither its disks nor their \
                 errors. Give it the disks themselves (HBA or JBOD mode)"
            )
        })
    }

    pub fn used_by_partitions(&self) -> bool {
        self.partitions().next().is_some()
    }

    /// `nvme`, `ssd`, `hdd`, `usb` or `unknown`. A disk that turns says how fast.
    pub fn medium(&self, rpm: Option<u64>) -> &'static str {
        match (self.rota, rpm) {
            (false, _) if self.name.starts_with("nvme") => "nvme",
            (false, _) => "ssd",
            (true, Some(_)) => "hdd",
            (true, None) if self.tran.as_deref() == Some("usb") => "usb",
            (true, None) => "unknown",
        }
    }
}

/// The disks, each with its partitions.
pub async fn disks(host: &SharedHost) -> Result<Vec<Block>, Error> {
    let command = Command::new("lsblk").args(["--json", "--bytes", "--output", COLUMNS]);
    let printed = host.run(command).await?.checked("lsblk")?;
    let mut disks = parse(&printed)?;
    let facts = Facts::new(host.clone());
    for disk in disks.iter_mut().filter(|disk| disk.rota) {
        if let Some(number) = &disk.number {
            let known = facts.text(&format!("/run/udev/data/b{number}")).await;
            disk.rpm = rpm_of(&known);
        }
    }
    Ok(disks)
}

/// Reads from a disk and its partitions what lies on them. `lsblk` says what udev has noted, which is
/// nothing on a machine without udev, and what was there before on another.
pub async fn probe(host: &SharedHost, disk: &mut Block) -> Result<(), Error> {
    probe_one(host, disk).await?;
    for part in disk
        .children
        .iter_mut()
        .filter(|child| child.kind == "part")
    {
        probe_one(host, part).await?;
    }
    Ok(())
}

/// What a device holds.
pub(crate) async fn probed(host: &SharedHost, path: &str) -> Result<Block, Error> {
    let mut block = Block {
        path: path.to_owned(),
        ..Block::default()
    };
    probe_one(host, &mut block).await?;
    Ok(block)
}

/// `blkid` found nothing.
const NOTHING: i32 = 2;

/// `blkid` found several things, none of which it believes.
const SEVERAL: i32 = 8;

async fn probe_one(host: &SharedHost, block: &mut Block) -> Result<(), Error> {
    let ask = Command::new("blkid").args(["--probe", "--output", "export", &block.path]);
    let output = host.run(ask).await?;
    (block.fstype, block.uuid, block.label) = (None, None, None);
    (block.pttype, block.ptuuid) = (None, None);
    // It ends in the same way where it may not read, but says so.
    if output.code == Some(NOTHING) && output.stderr.is_empty() {
        return Ok(());
    }
    if output.code == Some(SEVERAL) {
        block.fstype = Some("several signatures".to_owned());
        return Ok(());
    }
    let printed = output.checked("blkid")?;
    for line in String::from_utf8_lossy(&printed).lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let field = match key {
            "TYPE" => &mut block.fstype,
            "UUID" => &mut block.uuid,
            "LABEL" => &mut block.label,
            "PTTYPE" => &mut block.pttype,
            "PTUUID" => &mut block.ptuuid,
            "PART_ENTRY_TYPE" => &mut block.parttype,
            _ => continue,
        };
        *field = Some(value.to_owned());
    }
    Ok(())
}

/// How fast a disk turns by udev's record of it. What does not turn says 0.
fn rpm_of(record: &str) -> Option<u64> {
    let mut lines = record.lines();
    let rpm = lines.find_map(|line| line.strip_prefix("E:ID_ATA_ROTATION_RATE_RPM="))?;
    rpm.parse().ok().filter(|rpm| *rpm > 0)
}

fn parse(printed: &[u8]) -> Result<Vec<Block>, Error> {
    #[derive(Deserialize)]
    struct Printed {
        blockdevices: Vec<Block>,
    }
    let printed: Printed = serde_json::from_slice(printed)
        .map_err(|error| Error::unavailable(format!("lsblk printed what is no list: {error}")))?;
    let is_disk = |block: &Block| {
        block.kind == "disk" && !NO_DISKS.iter().any(|word| block.name.starts_with(word))
    };
    Ok(printed.blockdevices.into_iter().filter(is_disk).collect())
}

/// What a disk says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// `None` where it does not say, or nothing can ask it.
    pub passed: Option<bool>,
    /// What is left of it, in percent.
    pub left: Option<u64>,
    pub rpm: Option<u64>,
}

impl Health {
    /// The word that clients know.
    pub fn word(&self) -> &'static str {
        match self.passed {
            Some(true) => "PASSED",
            Some(false) => "FAILED",
            None => "UNKNOWN",
        }
    }

    fn parse(printed: &[u8]) -> Self {
        let report: Value = serde_json::from_slice(printed).unwrap_or_default();
        let worn = report["nvme_smart_health_information_log"]["percentage_used"].as_u64();
        Self {
            passed: report["smart_status"]["passed"].as_bool(),
            left: worn.map(|worn| 100_u64.saturating_sub(worn)),
            // 0 is said by what does not turn.
            rpm: report["rotation_rate"].as_u64().filter(|rpm| *rpm > 0),
        }
    }
}

/// Asks disks for their health, all at the same time. A machine without `smartctl` does not know.
pub async fn healths(host: &SharedHost, disks: &[Block]) -> Vec<Health> {
    let mut asked = JoinSet::new();
    for (at, disk) in disks.iter().cloned().enumerate() {
        let host = host.clone();
        asked.spawn(async move { (at, health(&host, &disk.path).await) });
    }
    let mut healths = vec![Health::default(); disks.len()];
    while let Some(answer) = asked.join_next().await {
        if let Ok((at, health)) = answer {
            healths[at] = health;
        }
    }
    healths
}

/// What a disk says of its health in full.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Smart {
    health: Health,
    attributes: Option<Vec<Value>>,
    /// What it says where it has no attributes.
    text: Option<String>,
}

impl Smart {
    /// Whether it is healthy, and no more.
    pub async fn of_health(host: &SharedHost, disk: &str) -> Self {
        Self {
            health: health(host, disk).await,
            ..Self::default()
        }
    }

    pub async fn of(host: &SharedHost, disk: &str) -> Self {
        let report = smartctl(host, &["--json", "--health", "--attributes"], disk).await;
        let health = Health::parse(&report);
        let report: Value = serde_json::from_slice(&report).unwrap_or_default();
        let table = report["ata_smart_attributes"]["table"].as_array();
        let attributes = table.map(|table| table.iter().map(attribute).collect::<Vec<Value>>());
        let mut text = None;
        if attributes.is_none() && health.passed.is_some() {
            let printed = smartctl(host, &["--health", "--attributes"], disk).await;
            text = Some(String::from_utf8_lossy(&printed).into_owned());
        }
        Self {
            health,
            attributes,
            text,
        }
    }

    /// As `GET /nodes/{node}/disks/smart` answers it.
    pub fn shown(&self) -> Value {
        let mut shown = json!({"health": self.health.word()});
        if let Some(attributes) = &self.attributes {
            shown["type"] = "ata".into();
            shown["attributes"] = attributes.as_slice().into();
        } else if let Some(text) = &self.text {
            shown["type"] = "text".into();
            shown["text"] = text.as_str().into();
            if let Some(left) = self.health.left {
                shown["wearout"] = left.into();
            }
        }
        shown
    }
}

/// An attribute by the names that Proxmox VE gives it.
fn attribute(row: &Value) -> Value {
    let number = |key: &str| row[key].as_u64().unwrap_or_default();
    let failed = row["when_failed"].as_str().filter(|when| !when.is_empty());
    json!({
        "id": format!("{:>3}", number("id")),
        "name": row["name"],
        "flags": row["flags"]["string"].as_str().unwrap_or_default().trim(),
        "value": number("value"),
        "normalized": number("value"),
        "worst": number("worst"),
        "threshold": number("thresh"),
        "fail": failed.unwrap_or("-"),
        "raw": row["raw"]["string"],
    })
}

/// What `smartctl` prints; its exit status is a set of warnings, not of failures.
async fn smartctl(host: &SharedHost, args: &[&str], disk: &str) -> Vec<u8> {
    let command = Command::new("smartctl")
        .args(args.iter().copied())
        .arg(disk);
    let command = command.timeout(Some(Duration::from_secs(HEALTH_S)));
    let output = host.run(command).await;
    output.map(|output| output.stdout).unwrap_or_default()
}

async fn health(host: &SharedHost, disk: &str) -> Health {
    let args = ["--json", "--info", "--health", "--attributes"];
    Health::parse(&smartctl(host, &args, disk).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"{"blockdevices": [
        {"name": "zram0", "path": "/dev/zram0", "type": "disk", "size": 0, "rota": false},
        {"name": "loop0", "path": "/dev/loop0", "type": "loop", "size": 5, "rota": false},
        {"name": "sda", "path": "/dev/sda", "type": "disk", "size": 1000, "rota": true,
         "model": "Harddisk", "pttype": "gpt", "mountpoint": null, "children": [
            {"name": "sda1", "path": "/dev/sda1", "type": "part", "size": 1,
             "parttype": "21686148-6449-6e6f-744e-656564454649"},
            {"name": "sda2", "path": "/dev/sda2", "type": "part", "size": 900,
             "fstype": "LVM2_member", "children": [
                {"name": "vg-root", "type": "lvm", "mountpoint": "/"}]}]},
        {"name": "nvme0n1", "path": "/dev/nvme0n1", "type": "disk", "size": 2000, "rota": false},
        {"name": "vda", "path": "/dev/vda", "type": "disk", "size": 3000, "rota": true,
         "vendor": "0x1af4", "fstype": "ext4", "mountpoint": "/srv"},
        {"name": "md0", "maj:min": null, "path": null, "type": null, "size": null, "rota": null}]}"#;

    #[test]
    fn disks_are_known_by_their_use() {
        let disks = parse(PRINTED.as_bytes()).unwrap();
        let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
        assert_eq!(names, ["sda", "nvme0n1", "vda"]);
        let used = |disk: &Block| disk.used();
        assert_eq!(used(&disks[0]).as_deref(), Some("partitions"));
        assert_eq!((used(&disks[1]), disks[1].is_mounted()), (None, false));
        assert_eq!(used(&disks[2]).as_deref(), Some("mounted"));
        assert!(disks[0].is_mounted() && disks[0].is_gpt());
        let parts: Vec<Option<String>> = disks[0].partitions().map(used).collect();
        assert_eq!(
            parts,
            [Some("BIOS boot".to_owned()), Some("LVM".to_owned())]
        );
        assert_eq!(
            (disks[0].medium(Some(7200)), disks[0].medium(None)),
            ("hdd", "unknown")
        );
        assert_eq!(disks[1].medium(None), "nvme");
    }

    #[test]
    fn a_speed_is_known_by_udev() {
        let record = "S:disk/by-id/ata-x\nE:ID_ATA_ROTATION_RATE_RPM=7200\nG:systemd\n";
        assert_eq!(rpm_of(record), Some(7200));
        assert_eq!(rpm_of("E:ID_ATA_ROTATION_RATE_RPM=0"), None);
        assert_eq!(rpm_of(""), None);
    }

    #[test]
    fn health_is_what_the_disk_says() {
        let report = br#"{"smart_status": {"passed": true}, "rotation_rate": 0,
            "nvme_smart_health_information_log": {"percentage_used": 3}}"#;
        let health = Health::parse(report);
        assert_eq!(
            (health.word(), health.left, health.rpm),
            ("PASSED", Some(97), None)
        );
        assert_eq!(Health::parse(b"no such command").word(), "UNKNOWN");
    }

    #[test]
    fn an_attribute_has_the_names_that_clients_know() {
        let row = json!({"id": 5, "name": "Reallocated_Sector_Ct", "value": 100, "worst": 99, "thresh": 10,
            "when_failed": "", "flags": {"string": "PO--CK "}, "raw": {"value": 0, "string": "0"}});
        let shown = attribute(&row);
        assert_eq!((&shown["id"], &shown["fail"]), (&json!("  5"), &json!("-")));
        assert_eq!(
            (&shown["threshold"], &shown["flags"]),
            (&json!(10), &json!("PO--CK"))
        );
    }
}
