//! PCI devices of the host that guests get: taken from the host's drivers, and made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Error;
use sys::{Command, SharedHost, SysError};

use super::facts::Facts;
use super::pci;

const DEVICES: &str = "/sys/bus/pci/devices";
const DRIVERS: &str = "/sys/bus/pci/drivers";
const MEDIATED: &str = "/sys/bus/mdev/devices";

/// The driver by which a guest reaches a device.
const DRIVER: &str = "vfio-pci";

/// How long the kernel may take to load it.
const LOAD_PATIENCE: Duration = Duration::from_secs(30);

fn file(address: &str, name: &str) -> PathBuf {
    Path::new(DEVICES).join(address).join(name)
}

/// The driver that has a device, if one has it.
pub(crate) async fn driver(host: &SharedHost, address: &str) -> Option<String> {
    let path = file(address, "uevent").display().to_string();
    let events = Facts::new(host.clone()).text(&path).await;
    let mut lines = events.lines();
    lines.find_map(|line| line.strip_prefix("DRIVER=").map(str::to_owned))
}

/// Whether a driver keeps a device from guests.
pub(crate) fn is_of_host(driver: Option<&str>) -> bool {
    driver.is_some_and(|driver| driver != DRIVER)
}

/// Takes a device from the host's driver. May be repeated.
pub(crate) async fn take(host: &SharedHost, address: &str) -> Result<(), Error> {
    let before = driver(host, address).await;
    if before.as_deref() == Some(DRIVER) {
        return Ok(());
    }
    if host.stat(&Path::new(DRIVERS).join(DRIVER)).await?.is_none() {
        let load = Command::new("modprobe").arg(DRIVER);
        let loaded = host.run(load.timeout(Some(LOAD_PATIENCE))).await?;
        loaded.checked("modprobe")?;
    }
    host.set(&file(address, "driver_override"), DRIVER.as_bytes())
        .await?;
    if before.is_some() {
        host.set(&file(address, "driver/unbind"), address.as_bytes())
            .await?;
    }
    host.set(Path::new("/sys/bus/pci/drivers_probe"), address.as_bytes())
        .await?;
    match driver(host, address).await {
        Some(now) if now == DRIVER => Ok(()),
        now => {
            let now = now.unwrap_or_else(|| "no driver".to_owned());
            let text = format!("{DRIVER} did not take device '{address}', {now} has it");
            Err(Error::unavailable(text))
        }
    }
}

/// Lets the host's driver have a device when it is looked for next. It stays where it is: a driver
/// that finds a device in a state that a guest left may take the host down.
pub(crate) async fn let_go(host: &SharedHost, address: &str) -> Result<(), SysError> {
    set_if_there(host, &file(address, "driver_override"), b"\n").await
}

/// Makes a mediated device. May be repeated.
pub(crate) async fn make(
    host: &SharedHost,
    parent: &str,
    kind: &str,
    uuid: &str,
) -> Result<(), SysError> {
    if host.stat(&Path::new(MEDIATED).join(uuid)).await?.is_some() {
        return Ok(());
    }
    let create = file(parent, "mdev_supported_types")
        .join(kind)
        .join("create");
    host.set(&create, uuid.as_bytes()).await
}

/// Removes a mediated device that was made.
pub(crate) async fn remove(host: &SharedHost, uuid: &str) -> Result<(), SysError> {
    set_if_there(host, &Path::new(MEDIATED).join(uuid).join("remove"), b"1").await
}

async fn set_if_there(host: &SharedHost, path: &Path, value: &[u8]) -> Result<(), SysError> {
    match host.set(path, value).await {
        Err(error) if error.is_not_found() => Ok(()),
        set => set,
    }
}

/// The file by which a program reaches the group of a device, mediated or not.
pub(crate) async fn group_file(host: &SharedHost, name: &str) -> Option<PathBuf> {
    let groups = pci::iommu_groups(host).await;
    let group = groups.get(name)?;
    Some(PathBuf::from(format!("/dev/vfio/{group}")))
}
