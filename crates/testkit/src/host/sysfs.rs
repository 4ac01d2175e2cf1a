//! Files of the kernel's: what it does when a value is written to one.

use std::io;
use std::path::{Path, PathBuf};

use sys::SysError;

use super::Disk;

const PCI: &str = "/sys/bus/pci/devices";
const MEDIATED: &str = "/sys/bus/mdev/devices";

/// The group of all mediated devices here.
const MEDIATED_GROUP: &str = "/sys/kernel/iommu_groups/77/devices";

/// What the kernel says of the length of each of its files.
pub(super) const SIZE: u64 = 4096;

/// Writes a value to a file that is there.
pub(super) fn set(disk: &mut Disk, path: &Path, value: &[u8]) -> Result<(), SysError> {
    let Some(before) = disk.content(path) else {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        return Err(SysError::io("set", path, missing));
    };
    let text = String::from_utf8_lossy(value).trim().to_owned();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match (name.as_ref(), path.parent()) {
        ("drivers_probe", _) => probe(disk, &text)?,
        ("unbind", _) => driver(disk, &text, None)?,
        ("create", _) => make(disk, &text)?,
        ("remove", Some(device)) => remove(disk, device),
        ("nr_hugepages", Some(folder)) => return huge_pages(disk, folder, &before, &text),
        _ => put(disk, path, value)?,
    }
    Ok(())
}

fn put(disk: &mut Disk, path: &Path, value: &[u8]) -> Result<(), SysError> {
    disk.put(path, value.to_vec(), SIZE)
}

fn text(disk: &Disk, path: &Path) -> String {
    let content = disk.content(path).unwrap_or_default();
    String::from_utf8_lossy(&content).trim().to_owned()
}

/// The driver that is wanted for a device takes it.
fn probe(disk: &mut Disk, address: &str) -> Result<(), SysError> {
    let wanted = text(disk, &Path::new(PCI).join(address).join("driver_override"));
    let wanted = Some(wanted.as_str()).filter(|driver| !driver.is_empty());
    driver(disk, address, wanted)
}

fn driver(disk: &mut Disk, address: &str, driver: Option<&str>) -> Result<(), SysError> {
    let events = Path::new(PCI).join(address).join("uevent");
    let before = text(disk, &events);
    let others = before.lines().filter(|line| !line.starts_with("DRIVER="));
    let mut lines: Vec<String> = others.map(str::to_owned).collect();
    lines.extend(driver.map(|driver| format!("DRIVER={driver}")));
    put(disk, &events, lines.join("\n").as_bytes())
}

/// A mediated device.
fn make(disk: &mut Disk, uuid: &str) -> Result<(), SysError> {
    let device = Path::new(MEDIATED).join(uuid);
    disk.folder(&device);
    put(disk, &device.join("remove"), b"")?;
    let member = Path::new(MEDIATED_GROUP).join(uuid);
    disk.folder(&member);
    Ok(())
}

fn remove(disk: &mut Disk, device: &Path) {
    let uuid = device.file_name().unwrap_or_default();
    for gone in [device.to_owned(), Path::new(MEDIATED_GROUP).join(uuid)] {
        disk.nodes.retain(|path, _| !path.starts_with(&gone));
    }
}

/// As many as there are in `most`, a file that only this kernel has.
fn huge_pages(disk: &mut Disk, folder: &Path, before: &[u8], wanted: &str) -> Result<(), SysError> {
    let number = |text: &str| text.trim().parse::<i64>().unwrap_or_default();
    let most = number(&text(disk, &folder.join("most")));
    let (before, after) = (
        number(&String::from_utf8_lossy(before)),
        number(wanted).min(most),
    );
    let free: PathBuf = folder.join("free_hugepages");
    let free_after = number(&text(disk, &free)) + after - before;
    put(disk, &free, free_after.to_string().as_bytes())?;
    put(
        disk,
        &folder.join("nr_hugepages"),
        after.to_string().as_bytes(),
    )
}
