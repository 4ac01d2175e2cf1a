//! The units (LUNs) of a target of iSCSI, which QEMU opens by itself. They are made and removed at
//! the target, so here they are only listed and used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, IscsiSource, VmId};
use sys::{Command, Output, SharedHost, SpaceUsage, SysError};

use crate::{
    AttachMode, Attacher, ContentType, FileVolumes, IscsiDirectSpec, LinkedClones, Snapshots,
    Storage, StorageConfig, StorageError, VolumeInfo, VolumeName,
};

/// How long a portal may take. Source: Proxmox VE's time-out for listing.
const ASK: Duration = Duration::from_secs(10);

/// The port of a portal that says none (RFC 7143).
const PORT: u16 = 3260;

/// Where open-iscsi keeps the name that targets know a node by.
const INITIATOR: &str = "/etc/iscsi/initiatorname.iscsi";

/// The highest number of a unit in the addressing that targets of iSCSI use (SAM-2).
const LUN_MAX: u32 = 16_383;

pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    unit(name).map(|_| VolumeName {
        content: ContentType::Images,
        format: "raw".to_owned(),
        image_format: Some(BlockFormat::Raw),
        owner: None,
        image: name.to_owned(),
        base: None,
        is_base: false,
    })
}

/// The number in `lun7`, written in one way only.
fn unit(name: &str) -> Option<u32> {
    let number = name.strip_prefix("lun")?;
    let unit: u32 = number.parse().ok()?;
    (unit <= LUN_MAX && unit.to_string() == number).then_some(unit)
}

pub(crate) struct IscsiDirect {
    config: StorageConfig,
    spec: IscsiDirectSpec,
    host: SharedHost,
}

impl IscsiDirect {
    pub(crate) fn new(config: StorageConfig, spec: IscsiDirectSpec, host: SharedHost) -> Self {
        Self { config, spec, host }
    }

    fn unit(&self, name: &str) -> Result<u32, StorageError> {
        unit(name).ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    fn portal(&self) -> String {
        with_port(&self.spec.portal)
    }

    /// The units of the target that are disks.
    async fn units(&self) -> Result<Vec<u32>, StorageError> {
        let url = format!("iscsi://{}", self.portal());
        let output = self.ask("iscsi-ls", &["-s", &url]).await?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        match units_of(&listed, &self.spec.target) {
            Some(units) => Ok(units),
            None if output.success() => Err(StorageError::Inactive {
                storage: self.config.id().clone(),
                reason: format!("the portal has no target '{}'", self.spec.target),
            }),
            None => Err(StorageError::Silent(self.config.id().clone())),
        }
    }

    /// In bytes; none where there is no such unit.
    async fn size(&self, unit: u32) -> Result<Option<u64>, StorageError> {
        let url = format!("iscsi://{}/{}/{unit}", self.portal(), self.spec.target);
        let output = self.ask("iscsi-readcapacity16", &[&url]).await?;
        if let Some(size) = size_of(&String::from_utf8_lossy(&output.stdout)) {
            return Ok(Some(size));
        }
        let says = String::from_utf8_lossy(&output.stderr);
        if says.contains("LOGICAL_UNIT_NOT_SUPPORTED") {
            return Ok(None);
        }
        // What else is wrong, all units have in common.
        match self.units().await?.contains(&unit) {
            true => Err(StorageError::Refused(format!(
                "unit {unit} of '{}' cannot be read: {}",
                self.spec.target,
                output.complaint()
            ))),
            false => Ok(None),
        }
    }

    async fn ask(&self, program: &str, args: &[&str]) -> Result<Output, StorageError> {
        let command = Command::new(program).args(args.iter().copied());
        match self.host.run(command.timeout(Some(ASK))).await {
            Err(SysError::ProgramTimeout { .. }) => {
                Err(StorageError::Silent(self.config.id().clone()))
            }
            asked => asked.map_err(|error| StorageError::of(self.config.id(), error)),
        }
    }

    /// The name that the target knows this node by; QEMU's own where the node has none.
    async fn initiator(&self) -> Result<Option<String>, StorageError> {
        match self.host.read(Path::new(INITIATOR)).await {
            Ok(read) => Ok(initiator_of(&String::from_utf8_lossy(&read))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(StorageError::of(self.config.id(), error)),
        }
    }

    fn describe(&self, unit: u32, size: u64) -> VolumeInfo {
        VolumeInfo {
            name: format!("lun{unit}"),
            content: ContentType::Images,
            format: "raw".to_owned(),
            size,
            used: None,
            created: 0,
            owner: None,
        }
    }

    fn refused<T>(&self, name: &str, text: &str) -> Result<T, StorageError> {
        self.unit(name)?;
        Err(StorageError::Refused(text.to_owned()))
    }
}

/// Address and port of a portal.
pub(crate) fn with_port(portal: &str) -> String {
    let has_port = match portal.rsplit_once(':') {
        Some((before, _)) => !before.contains(':') || before.ends_with(']'),
        None => false,
    };
    match has_port {
        true => portal.to_owned(),
        false if portal.contains(':') && !portal.starts_with('[') => {
            format!("[{portal}]:{PORT}")
        }
        false => format!("{portal}:{PORT}"),
    }
}

/// The disks of a target in what `iscsi-ls` prints; none where it names no such target.
fn units_of(listed: &str, target: &str) -> Option<Vec<u32>> {
    let mut units = None;
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some(name) = first.strip_prefix("Target:") {
            if name == target && units.is_none() {
                units = Some(Vec::new());
            } else if name != target && units.is_some() {
                break;
            }
        } else if let (Some(units), Some(unit)) = (&mut units, first.strip_prefix("Lun:"))
            && words.next() == Some("Type:DIRECT_ACCESS")
            && let Ok(unit) = unit.parse()
            && !units.contains(&unit)
        {
            units.push(unit);
        }
    }
    units
}

fn size_of(printed: &str) -> Option<u64> {
    let mut lines = printed.lines();
    let size = lines.find_map(|line| line.strip_prefix("Total size:"))?;
    size.trim().parse().ok()
}

fn initiator_of(content: &str) -> Option<String> {
    let mut lines = content.lines().map(str::trim);
    let name = lines.find_map(|line| line.strip_prefix("InitiatorName="))?;
    Some(name.trim().to_owned())
}

#[async_trait]
impl Storage for IscsiDirect {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    async fn activate(&self) -> Result<(), StorageError> {
        self.units().await.map(drop)
    }

    /// A target does not say how full it is. Source: Proxmox VE's figures.
    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        self.units().await?;
        Ok(SpaceUsage {
            total: 0,
            used: 0,
            available: 0,
        })
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        if content.is_some_and(|content| content != ContentType::Images) {
            return Ok(Vec::new());
        }
        let mut volumes = Vec::new();
        for unit in self.units().await? {
            if let Some(size) = self.size(unit).await? {
                volumes.push(self.describe(unit, size));
            }
        }
        Ok(volumes)
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        let unit = self.unit(name)?;
        let size = self.size(unit).await?;
        Ok(size.map(|size| self.describe(unit, size)))
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
        let unit = self.unit(name)?;
        let none = || StorageError::NoVolume {
            storage: self.config.id().clone(),
            name: name.to_owned(),
        };
        let size = self.size(unit).await?.ok_or_else(none)?;
        let source = BlockSource::Iscsi(IscsiSource {
            portal: self.portal(),
            target: self.spec.target.clone(),
            unit,
            initiator: self.initiator().await?,
            size,
        });
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            ..BlockSpec::new(source, BlockFormat::Raw)
        })
    }

    /// QEMU logs out by itself.
    async fn detach(&self, name: &str, _by: &Attacher) -> Result<(), StorageError> {
        self.unit(name).map(drop)
    }

    /// What QEMU's programs take for a file name.
    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        let unit = self.unit(name)?;
        let url = format!("iscsi://{}/{}/{unit}", self.portal(), self.spec.target);
        Ok(url.into())
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

// Source: Proxmox VE's texts.
pub(crate) const NO_SPACE: &str = "can't allocate space in iscsi storage";
pub(crate) const NOT_FREED: &str = "can't free space in iscsi storage";
pub(crate) const NO_RESIZE: &str = "volume resize is not possible on iscsi device";
pub(crate) const NO_RENAME: &str = "can't rename volumes in iscsi storage";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_the_disks_of_one_target() {
        let listed = "Target:iqn.2026-11.test:one Portal:10.0.0.1:3260,1\n\
            Lun:0    Type:STORAGE_ARRAY_CONTROLLER\n\
            Lun:1    Type:DIRECT_ACCESS (Size:8M)\n\
            Lun:12   Type:DIRECT_ACCESS (Size:1G)\n\
            Target:iqn.2026-11.test:two Portal:10.0.0.1:3260,1\n\
            Lun:3    Type:DIRECT_ACCESS (Size:8M)\n";
        let of = |target: &str| units_of(listed, &format!("iqn.2026-11.test:{target}"));
        assert_eq!(of("one"), Some(vec![1, 12]));
        assert_eq!(of("two"), Some(vec![3]));
        assert_eq!(of("on"), None);
    }

    #[test]
    fn a_unit_has_one_name() {
        assert_eq!(unit("lun0"), Some(0));
        assert_eq!(unit("lun255"), Some(255));
        for bad in [
            "lun",
            "lun01",
            "lun-1",
            "lun16384",
            "vm-100-disk-0",
            "LUN1",
            "lun1 ",
        ] {
            assert_eq!(unit(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_and_initiators_are_read() {
        let printed = "LOGICAL BLOCK LENGTH IN BYTES:512\nTotal size:9437184\n";
        assert_eq!(size_of(printed), Some(9 << 20));
        let content = "## comment\nInitiatorName=iqn.1993-08.org.debian:01:abc\n";
        assert_eq!(
            initiator_of(content).as_deref(),
            Some("iqn.1993-08.org.debian:01:abc")
        );
    }
}
