//! Mappings of devices and folders: their records, and whether a node still has what they name.

use std::path::Path;

use model::schema::Properties;
use model::{Error, MappingKind, NodeName};
use serde_json::Value;
use store::{Key, Prefix};
use sys::{FileKind, SharedHost};

use crate::host::{pci, usb};
use crate::{Records, Settings};

/// The key of a mapping's record. Refuses an id that is too long for one.
pub fn mapping_key(kind: MappingKind, id: &str) -> Result<Key, Error> {
    let key = Key::new(format!("mapping/{}/{id}", kind.as_str()));
    key.map_err(|_| Error::invalid("id", "the ID is too long"))
}

/// Something that is wrong with a mapping on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingFault {
    /// It names nothing there.
    Missing(NodeName),
    /// What it names is not there, or is something else.
    Invalid(String),
}

impl Records {
    /// All mappings of a kind, by id.
    pub async fn mappings(&self, kind: MappingKind) -> Result<Vec<(String, Settings)>, Error> {
        let prefix = Prefix::below(&format!("mapping/{}", kind.as_str()));
        self.all_settings(&prefix.expect("a constant that is a key"))
            .await
    }

    /// A mapping, if there is one of this id.
    pub async fn mapping(&self, kind: MappingKind, id: &str) -> Result<Option<Settings>, Error> {
        self.kept_settings(&mapping_key(kind, id)?).await
    }

    /// What a mapping is on a node; at least one thing.
    pub async fn mapped_on(
        &self,
        kind: MappingKind,
        id: &str,
        node: &NodeName,
    ) -> Result<(Settings, Vec<Properties>), Error> {
        let mapping = self.mapping(kind, id).await?;
        let missing = || Error::not_found(format!("mapping '{id}' not found"));
        let mapping = mapping.ok_or_else(missing)?;
        let entries = entries(kind, &mapping, node);
        if entries.is_empty() {
            let kind = kind.as_str();
            let text = format!("{kind} mapping '{id}' has nothing on node '{node}'");
            return Err(Error::conflict(text));
        }
        Ok((mapping, entries))
    }
}

/// What a mapping is on a node, in the order in which it was given.
pub fn entries(kind: MappingKind, mapping: &Settings, node: &NodeName) -> Vec<Properties> {
    let map = mapping.options.get("map").and_then(Value::as_array);
    let map = map.into_iter().flatten().filter_map(Value::as_str);
    kind.on_node(map, node.as_str())
}

/// Everything that is wrong with a mapping on the node of this host.
pub async fn mapping_faults(
    host: &SharedHost,
    kind: MappingKind,
    (id, mapping): (&str, &Settings),
    node: &NodeName,
) -> Vec<MappingFault> {
    let entries = entries(kind, mapping, node);
    if entries.is_empty() {
        return vec![MappingFault::Missing(node.clone())];
    }
    let mut faults = Vec::new();
    for entry in &entries {
        if let Err(why) = check_entry(host, kind, (id, mapping), entry).await {
            faults.push(MappingFault::Invalid(why));
        }
    }
    faults
}

/// Whether the host has what an entry names.
pub async fn check_entry(
    host: &SharedHost,
    kind: MappingKind,
    (id, mapping): (&str, &Settings),
    entry: &Properties,
) -> Result<(), String> {
    match kind {
        MappingKind::Pci => {
            let mediated = mapping.options.get("mdev") == Some(&Value::Bool(true));
            check_pci(&pci::devices(host).await, id, mediated, entry)
        }
        MappingKind::Usb => check_usb(&usb::devices(host).await, id, entry),
        MappingKind::Dir => check_dir(host, entry.text("path").unwrap_or_default()).await,
    }
}

/// Holds each expected property of a device against the configured one, in order of their names.
fn check_pci(
    devices: &[pci::Device],
    id: &str,
    mediated: bool,
    entry: &Properties,
) -> Result<(), String> {
    let paths = entry.text("path").unwrap_or_default();
    for (index, path) in paths.split(';').enumerate() {
        let address = pci::first_function(path);
        let found = devices.iter().find(|device| device.address == address);
        let device = found.ok_or_else(|| format!("pci device '{address}' not found"))?;
        if mediated && !device.mediates {
            return Err(format!("'mdev' does not match for '{id}' (0 != 1)"));
        }
        // The properties of an entry are those of its first device.
        if index > 0 {
            continue;
        }
        let group = device.iommu_group.map(|group| group.to_string());
        let expected = [
            ("id", Some(device.id())),
            ("iommugroup", group),
            ("subsystem-id", device.subsystem_id()),
        ];
        for (name, expected) in expected {
            let configured = entry.get(name).map(|value| match value {
                Value::String(text) => text.to_ascii_lowercase(),
                other => other.to_string(),
            });
            match (expected, configured) {
                (Some(expected), Some(configured)) if expected != configured => {
                    let differ = format!("({expected} != {configured})");
                    return Err(format!("'{name}' does not match for '{id}' {differ}"));
                }
                (Some(_), None) => {
                    let text = "missing expected property";
                    return Err(format!("{text} '{name}' for device '{address}'"));
                }
                (None, Some(_)) => {
                    let text = "unexpected property";
                    return Err(format!("{text} '{name}' configured for device '{address}'"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_usb(devices: &[usb::Device], id: &str, entry: &Properties) -> Result<(), String> {
    let wanted = entry.text("id").unwrap_or_default().to_ascii_lowercase();
    let Some(path) = entry.text("path") else {
        let found = devices.iter().any(|device| device.id() == wanted);
        return match found {
            true => Ok(()),
            false => Err(format!("usb device '{wanted}' not found")),
        };
    };
    let found = devices
        .iter()
        .find(|device| device.place().as_deref() == Some(path));
    match found.map(usb::Device::id) {
        None => Err(format!("usb device '{path}' not found")),
        Some(found) if found != wanted => Err(format!(
            "'id' does not match for '{id}' ({found} != {wanted})"
        )),
        Some(_) => Ok(()),
    }
}

async fn check_dir(host: &SharedHost, path: &str) -> Result<(), String> {
    match host.stat(Path::new(path)).await {
        Ok(Some(entry)) if entry.kind == FileKind::Directory => Ok(()),
        Ok(Some(_)) => Err(format!("Path {path} exists, but is not a directory")),
        Ok(None) => Err(format!("Path {path} does not exist")),
        Err(error) => Err(format!("Path {path} cannot be examined: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use model::schema::parse_properties;

    use super::*;

    fn pci(text: &str, mediated: bool) -> Result<(), String> {
        let device = |address: &str, group| pci::Device {
            address: address.into(),
            vendor: "0x1af4".into(),
            device: "0x1045".into(),
            subsystem_vendor: "0x1af4".into(),
            subsystem_device: "0x0005".into(),
            iommu_group: group,
            ..pci::Device::default()
        };
        let devices = [
            device("0000:00:01.0", Some(3)),
            device("0000:00:02.0", None),
        ];
        let entry = parse_properties(MappingKind::Pci.fields(), text).unwrap();
        check_pci(&devices, "gpu", mediated, &entry)
    }

    #[test]
    fn a_pci_device_that_is_another_is_told() {
        let why = |text: &str| pci(text, false).unwrap_err();
        let right = "node=a,path=0000:00:01,id=1AF4:1045,subsystem-id=1af4:0005,iommugroup=3";
        assert_eq!(pci(right, false), Ok(()));
        assert_eq!(
            pci(right, true),
            Err("'mdev' does not match for 'gpu' (0 != 1)".into())
        );
        assert_eq!(
            why("node=a,path=0000:00:03.0,id=1af4:1045"),
            "pci device '0000:00:03.0' not found"
        );
        assert_eq!(
            why("node=a,path=0000:00:01.0,id=ffff:ffff"),
            "'id' does not match for 'gpu' (1af4:1045 != ffff:ffff)"
        );
        assert_eq!(
            why("node=a,path=0000:00:01.0,id=1af4:1045,iommugroup=4"),
            "'iommugroup' does not match for 'gpu' (3 != 4)"
        );
        assert_eq!(
            why("node=a,path=0000:00:02.0,id=1af4:1045"),
            "missing expected property 'subsystem-id' for device '0000:00:02.0'"
        );
        assert_eq!(
            why("node=a,path=0000:00:02.0,id=1af4:1045,iommugroup=4"),
            "unexpected property 'iommugroup' configured for device '0000:00:02.0'"
        );
    }

    #[test]
    fn a_usb_device_is_found_by_its_place_or_anywhere() {
        let devices = [usb::Device {
            bus: 1,
            path: Some("2.3".into()),
            vendor: "1234".into(),
            product: "abcd".into(),
            ..usb::Device::default()
        }];
        let check = |text: &str| {
            let entry = parse_properties(MappingKind::Usb.fields(), text).unwrap();
            check_usb(&devices, "stick", &entry)
        };
        assert_eq!(check("node=a,id=1234:ABCD"), Ok(()));
        assert_eq!(check("node=a,id=1234:abcd,path=1-2.3"), Ok(()));
        assert_eq!(
            check("node=a,id=1234:abcd,path=1-2"),
            Err("usb device '1-2' not found".into())
        );
        assert_eq!(
            check("node=a,id=1234:5678"),
            Err("usb device '1234:5678' not found".into())
        );
        assert_eq!(
            check("node=a,id=1234:5678,path=1-2.3"),
            Err("'id' does not match for 'stick' (1234:abcd != 1234:5678)".into())
        );
    }
}
