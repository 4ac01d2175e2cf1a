//! A drive: `local:100/vm-100-disk-0.qcow2,cache=writeback,size=32G`.

use serde::{Deserialize, Serialize};

use crate::schema::{Properties, PropertyError, parse_properties, print_properties};
use crate::{BlockFormat, BlockSpec, ByteSize, StorageId, VolumeId};

use super::format::requested_size;
use super::{DriveBus, Throttle, is_cloud_init_volume, throttle};

/// The value of a drive's `file`.
#[derive(Debug, Clone, PartialEq)]
pub enum DriveSource {
    /// A drive without a medium.
    Empty,
    /// The host's own CD-ROM drive.
    HostCdrom,
    /// `STORAGE:SIZE`: a request for a new volume of this many GiB. Only in requests; a stored
    /// configuration names the volume that was made.
    New {
        storage: StorageId,
        gib: f64,
    },
    /// `STORAGE:cloudinit`: a request for a new cloud-init medium.
    NewCloudInit {
        storage: StorageId,
    },
    Volume(VolumeId),
    /// An absolute path, for the administrator only.
    Path(String),
}

impl DriveSource {
    /// Whether it is a CD-ROM unless `media` says otherwise.
    fn is_for_cdrom(&self) -> bool {
        match self {
            Self::Empty | Self::HostCdrom => true,
            Self::Volume(volume) => volume.name().starts_with("iso/"),
            Self::Path(path) => path.to_ascii_lowercase().ends_with(".iso"),
            Self::New { .. } | Self::NewCloudInit { .. } => false,
        }
    }
}

/// The source that a new volume is filled from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportSource {
    Volume(VolumeId),
    /// An absolute path on the host, for the administrator only.
    Path(String),
}

/// How the host caches a drive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cache {
    #[default]
    None,
    Writethrough,
    Writeback,
    Unsafe,
    Directsync,
}

impl Cache {
    /// Whether the host's page cache is bypassed.
    pub fn is_direct(self) -> bool {
        matches!(self, Self::None | Self::Directsync)
    }

    /// Whether the guest sees a write cache that it has to flush.
    pub fn has_write_cache(self) -> bool {
        !matches!(self, Self::Writethrough | Self::Directsync)
    }

    /// Whether the guest's flushes are ignored.
    pub fn ignores_flush(self) -> bool {
        self == Self::Unsafe
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aio {
    Native,
    Threads,
    IoUring,
}

impl Aio {
    /// The name in QEMU and in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Threads => "threads",
            Self::IoUring => "io_uring",
        }
    }
}

/// What QEMU does after a read or write error on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorAction {
    Enospc,
    Ignore,
    Report,
    Stop,
}

impl ErrorAction {
    /// The name in QEMU and in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enospc => "enospc",
            Self::Ignore => "ignore",
            Self::Report => "report",
            Self::Stop => "stop",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Enospc, Self::Ignore, Self::Report, Self::Stop]
            .into_iter()
            .find(|action| action.as_str() == name)
    }
}

/// A drive on one of the buses. It keeps all keys, including those that this version only stores.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    bus: DriveBus,
    keys: Properties,
}

impl Drive {
    pub fn parse(bus: DriveBus, text: &str) -> Result<Self, PropertyError> {
        Ok(Self {
            bus,
            keys: parse_properties(bus.fields(), text)?,
        })
    }

    pub fn print(&self) -> String {
        print_properties(self.bus.fields(), &self.keys)
    }

    pub fn bus(&self) -> DriveBus {
        self.bus
    }

    pub fn source(&self) -> DriveSource {
        match self.file() {
            "none" => DriveSource::Empty,
            "cdrom" => DriveSource::HostCdrom,
            text => match text.parse::<VolumeId>() {
                Ok(volume) if volume.name() == "cloudinit" => DriveSource::NewCloudInit {
                    storage: volume.storage().clone(),
                },
                Ok(volume) => match requested_size(&volume) {
                    Some((storage, gib)) => DriveSource::New { storage, gib },
                    None => DriveSource::Volume(volume),
                },
                Err(_) => DriveSource::Path(text.to_owned()),
            },
        }
    }

    /// The value of `file`, as written.
    pub fn file(&self) -> &str {
        self.keys.text("file").unwrap_or("none")
    }

    /// The volume, if the drive has one.
    pub fn volume(&self) -> Option<VolumeId> {
        match self.source() {
            DriveSource::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    pub fn set_volume(&mut self, volume: &VolumeId) {
        self.keys.set(self.bus.fields(), "file", volume.to_string());
    }

    /// Ejects the medium; the drive stays.
    pub fn eject(&mut self) {
        self.keys.set(self.bus.fields(), "file", "none");
        self.keys.remove("size");
    }

    pub fn size(&self) -> Option<ByteSize> {
        self.keys.text("size").and_then(|text| text.parse().ok())
    }

    pub fn set_size(&mut self, size: ByteSize) {
        self.keys.set(self.bus.fields(), "size", size.to_string());
    }

    /// Whether the guest sees a CD-ROM. Without `media` it does if the drive is empty or has a
    /// medium that is made for CD-ROM drives.
    pub fn is_cdrom(&self) -> bool {
        let source = self.source();
        match self.keys.text("media") {
            Some(media) => media == "cdrom" || source == DriveSource::HostCdrom,
            None => self.bus.is_seen() && source.is_for_cdrom(),
        }
    }

    /// Whether a new volume is requested.
    pub fn is_new(&self) -> bool {
        matches!(self.source(), DriveSource::New { .. })
    }

    /// Whether it has, or requests, a cloud-init medium.
    pub fn is_cloud_init(&self) -> bool {
        match self.source() {
            DriveSource::NewCloudInit { .. } => true,
            DriveSource::Volume(volume) => is_cloud_init_volume(&volume),
            _ => false,
        }
    }

    /// The format in the request; if none, the volume's name or content decides.
    pub fn format(&self) -> Option<BlockFormat> {
        match self.keys.text("format")? {
            "raw" => Some(BlockFormat::Raw),
            "qcow2" => Some(BlockFormat::Qcow2),
            "vmdk" => Some(BlockFormat::Vmdk),
            _ => None,
        }
    }

    /// The source that a new volume is to be filled from.
    pub fn import_source(&self) -> Option<ImportSource> {
        let text = self.keys.text("import-from")?;
        Some(match text.parse() {
            Ok(volume) => ImportSource::Volume(volume),
            Err(_) => ImportSource::Path(text.to_owned()),
        })
    }

    /// Removes the keys that only belong to a request.
    pub fn clear_request(&mut self) {
        self.keys.remove("format");
        self.keys.remove("import-from");
    }

    /// Normalizes a requested drive for storing. False if its keys contradict each other.
    pub fn normalize(&mut self) -> bool {
        let is_medium = self.is_cdrom() && !self.is_cloud_init();
        let is_disks = |key: &str| match self.keys.get(key) {
            Some(value) => *value != serde_json::Value::Bool(false),
            None => false,
        };
        if is_medium && ["format", "snapshot"].into_iter().any(is_disks) {
            return false;
        }
        // A cloud-init drive is always a CD-ROM.
        if self.is_cdrom() || self.is_cloud_init() {
            self.keys.set(self.bus.fields(), "media", "cdrom");
        }
        throttle::normalize(&mut self.keys, self.bus.fields())
    }

    pub fn cache(&self) -> Cache {
        match self.keys.text("cache") {
            Some("writethrough") => Cache::Writethrough,
            Some("writeback") => Cache::Writeback,
            Some("unsafe") => Cache::Unsafe,
            Some("directsync") => Cache::Directsync,
            _ => Cache::None,
        }
    }

    /// Whether the host's page cache is bypassed for this image. Where no mode is configured, the
    /// image decides.
    pub fn is_direct(&self, image: &BlockSpec) -> bool {
        let by_default = self.keys.text("cache").is_none() && image.buffered;
        !self.is_cdrom() && !by_default && self.cache().is_direct()
    }

    pub fn aio(&self) -> Option<Aio> {
        let name = self.keys.text("aio")?;
        [Aio::Native, Aio::Threads, Aio::IoUring]
            .into_iter()
            .find(|aio| aio.as_str() == name)
    }

    pub fn discards(&self) -> bool {
        self.keys.text("discard") == Some("on")
    }

    pub fn detects_zeroes(&self) -> bool {
        self.keys.flag("detect_zeroes").unwrap_or(true)
    }

    pub fn is_ssd(&self) -> bool {
        self.keys.flag("ssd").unwrap_or(false)
    }

    pub fn has_iothread(&self) -> bool {
        self.keys.flag("iothread").unwrap_or(false)
    }

    pub fn is_read_only(&self) -> bool {
        self.keys.flag("ro").unwrap_or(false)
    }

    /// False if backups leave this drive out.
    pub fn is_backed_up(&self) -> bool {
        self.keys.flag("backup").unwrap_or(!self.is_cdrom())
    }

    pub fn throttle(&self) -> Throttle {
        Throttle::of(&self.keys)
    }

    pub fn queues(&self) -> Option<i64> {
        self.keys.integer("queues")
    }

    /// The serial number, decoded.
    pub fn serial(&self) -> Option<String> {
        self.keys.text("serial").map(percent_decoded)
    }

    /// The model, decoded; IDE only.
    pub fn model(&self) -> Option<String> {
        self.keys.text("model").map(percent_decoded)
    }

    pub fn vendor(&self) -> Option<&str> {
        self.keys.text("vendor")
    }

    pub fn product(&self) -> Option<&str> {
        self.keys.text("product")
    }

    /// The world wide name, a number written as `0x` and 16 hexadecimal digits.
    pub fn wwn(&self) -> Option<u64> {
        let digits = self.keys.text("wwn")?.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok()
    }

    pub fn read_error(&self) -> Option<ErrorAction> {
        self.keys.text("rerror").and_then(ErrorAction::from_name)
    }

    pub fn write_error(&self) -> Option<ErrorAction> {
        self.keys.text("werror").and_then(ErrorAction::from_name)
    }

    /// Whether the two differ only in throughput limits, which can be changed while the guest runs,
    /// and in keys that QEMU never gets.
    pub fn differs_only_in_throttle(&self, other: &Self) -> bool {
        let is_untold = |name: &str| matches!(name, "backup" | "replicate" | "shared" | "size");
        let rest = |drive: &Self| {
            let mut keys = drive.keys.clone();
            drive
                .bus
                .fields()
                .iter()
                .filter(|f| Throttle::is_key(f) || is_untold(f.name))
                .for_each(|field| {
                    keys.remove(field.name);
                });
            keys
        };
        self.bus == other.bus && rest(self) == rest(other)
    }
}

/// Decodes percent-encoding; an invalid escape is kept unchanged.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let code = pair
            .filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match code {
            Some(code) if *first == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scsi(text: &str) -> Drive {
        Drive::parse(DriveBus::Scsi, text).unwrap()
    }

    #[test]
    fn a_source_is_told_from_the_text() {
        let volume = "local:100/vm-100-disk-0.qcow2";
        let cases = [
            ("none,media=cdrom", DriveSource::Empty),
            ("cdrom", DriveSource::HostCdrom),
            (volume, DriveSource::Volume(volume.parse().unwrap())),
            ("/dev/sdb", DriveSource::Path("/dev/sdb".to_owned())),
            (
                "local:cloudinit",
                DriveSource::NewCloudInit {
                    storage: StorageId::new("local").unwrap(),
                },
            ),
            (
                "local:1.5",
                DriveSource::New {
                    storage: StorageId::new("local").unwrap(),
                    gib: 1.5,
                },
            ),
            (
                "local:8",
                DriveSource::New {
                    storage: StorageId::new("local").unwrap(),
                    gib: 8.0,
                },
            ),
        ];
        for (text, source) in cases {
            assert_eq!(scsi(text).source(), source, "{text}");
        }
        for bad in ["", "local", "../x", "/a/../b", "local:../x"] {
            assert!(Drive::parse(DriveBus::Scsi, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_normalised_for_qemu() {
        let throttle =
            scsi("local:1/d,mbps=1.5,bps=7,mbps_max=3,iops_rd=5,iops_rd_max=4,iops_max=9");
        let throttle = throttle.throttle();
        assert_eq!(
            throttle.bytes,
            Limit {
                rate: 1_572_864,
                burst: 3_145_728,
                burst_seconds: 1
            }
        );
        assert_eq!(
            throttle.reads,
            Limit {
                rate: 5,
                burst: 0,
                burst_seconds: 0
            }
        );
        assert_eq!(throttle.operations, Limit::default());
    }

    use super::super::Limit;

    #[test]
    fn text_in_a_drive_is_percent_encoded() {
        assert_eq!(
            scsi("local:1/d,serial=A%20B%2Cc%").serial().unwrap(),
            "A B,c%"
        );
    }

    #[test]
    fn throttles_alone_can_change_while_running() {
        let before = scsi("local:1/d,iops=10,ssd=1");
        assert!(before.differs_only_in_throttle(&scsi("local:1/d,mbps_rd=3,ssd=1")));
        assert!(!before.differs_only_in_throttle(&scsi("local:1/d,iops=10")));
    }
}
