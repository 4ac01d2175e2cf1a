//! Changing a container's options: from what a caller asks to what is stored. Pure.

use std::collections::BTreeMap;

use guest::lxc::CtConfig;
use model::lxc::{MountPoint, MountSlot, MountSource, Net};
use model::schema::Values;
use model::{
    ByteSize, Error, FieldErrors, GuestConfig, GuestRecord, PendingChange, StorageId, VolumeId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::VolumeNames;

use crate::guests::options::{Applied, Changes, is_indexed};

/// Options that change nothing inside, or that take effect by the scope's limits.
const AT_ONCE: [&str; 13] = [
    "description",
    "hookscript",
    "hostname",
    "lock",
    "onboot",
    "protection",
    "startup",
    "tags",
    "cores",
    "cpulimit",
    "cpuunits",
    "memory",
    "swap",
];

/// Cards are plugged and pulled; unused volumes are not in use.
fn is_at_once(name: &str) -> bool {
    is_indexed(name, "net") || is_indexed(name, "unused")
}

/// Options of limits, which the scope of a running container gets.
const LIMITS: [&str; 5] = ["cores", "cpulimit", "cpuunits", "memory", "swap"];

/// Options that a container cannot be without.
const REQUIRED: [&str; 4] = ["rootfs", "memory", "ostype", "arch"];

/// The weight of a control group of version 2.
const CPU_UNITS_MAX: i64 = 10_000;

/// What a caller wants changed in a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CtEdit {
    /// Options with their new values, as they are stored.
    pub set: BTreeMap<String, Value>,
    pub delete: Vec<String>,
    pub revert: Vec<String>,
    /// File systems that the new values need. Their names are chosen by the task.
    pub new_volumes: Vec<NewFileSystem>,
}

/// A file system that an edit asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewFileSystem {
    pub slot: MountSlot,
    pub storage: StorageId,
    /// 0: not limited, where the storage has directories.
    pub bytes: u64,
    /// Chosen before it is made.
    #[serde(default)]
    pub name: Option<String>,
    /// A directory and no image; chosen with the name.
    #[serde(default)]
    pub is_tree: bool,
}

impl CtEdit {
    /// All options that it touches.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.set.keys().chain(&self.delete).chain(&self.revert)
    }

    /// Reads the options among checked parameters. `new_mac` makes up an address for a card that was
    /// given none; `storage` is where a size without a storage goes.
    pub fn new(
        options: &Values,
        storage: &StorageId,
        new_mac: &dyn Fn() -> String,
    ) -> Result<Self, Error> {
        let mut edit = Self::default();
        let mut errors = FieldErrors::new();
        for (name, value) in options {
            match edit.read(name, value, storage, new_mac) {
                Ok(stored) => {
                    edit.set.insert(name.clone(), stored);
                }
                Err(reason) => {
                    errors.insert(name.clone(), reason);
                }
            }
        }
        edit.normalize();
        match errors.is_empty() {
            true => Ok(edit),
            false => Err(Error::invalid_fields(errors)),
        }
    }

    fn read(
        &mut self,
        name: &str,
        value: &Value,
        storage: &StorageId,
        new_mac: &dyn Fn() -> String,
    ) -> Result<Value, String> {
        let Value::String(text) = value else {
            return Ok(match value {
                Value::Bool(flag) => u8::from(*flag).into(),
                // As Proxmox VE answers it: a number that may have a fraction is a text.
                Value::Number(number) if name == "cpulimit" => number.to_string().into(),
                other => other.clone(),
            });
        };
        if let Ok(slot) = name.parse::<MountSlot>() {
            return self.read_mount(slot, text, storage).map(Value::from);
        }
        if is_indexed(name, "net") {
            let net = Net::parse(text).map_err(|error| error.for_parameter(name))?;
            return Ok(net.completed(new_mac).print().into());
        }
        Ok(text.clone().into())
    }

    fn read_mount(
        &mut self,
        slot: MountSlot,
        text: &str,
        storage: &StorageId,
    ) -> Result<String, String> {
        let name = slot.to_string();
        let text = with_storage(text, storage);
        let mount = MountPoint::parse(slot, &text).map_err(|error| error.for_parameter(&name))?;
        if let MountSource::New { storage, gib } = mount.source() {
            // Whole MiB, as file systems are made.
            let bytes = ByteSize::of_gib(gib).bytes() >> 20 << 20;
            self.new_volumes.push(NewFileSystem {
                slot,
                storage,
                bytes,
                name: None,
                is_tree: false,
            });
        }
        Ok(mount.print())
    }

    /// Values in the form in which they are stored.
    fn normalize(&mut self) {
        let units = self.set.get_mut("cpuunits");
        if let Some(units) = units {
            let given = units.as_i64().unwrap_or(CPU_UNITS_MAX);
            *units = given.clamp(1, CPU_UNITS_MAX).into();
        }
        if let Some(text) = self.set.get("description").and_then(Value::as_str) {
            let text = text.trim_end().to_owned();
            if text.is_empty() {
                self.set.remove("description");
                self.delete.push("description".to_owned());
            } else {
                self.set.insert("description".to_owned(), text.into());
            }
        }
    }

    /// The options that a new container has if nothing is said.
    pub fn fill_in(&mut self, vmid: model::VmId) {
        let defaults = [
            ("hostname", Value::from(format!("CT{vmid}"))),
            ("memory", 512.into()),
            ("swap", 512.into()),
            ("unprivileged", 1.into()),
        ];
        for (name, value) in defaults {
            self.set.entry(name.to_owned()).or_insert(value);
        }
        if self.set.get("unprivileged") == Some(&0.into()) {
            self.set.remove("unprivileged");
        }
    }

    /// Refuses what could never start, and what a container cannot be without.
    pub fn check(&self, before: Option<&GuestRecord>) -> Result<(), Error> {
        for name in &self.delete {
            if REQUIRED.contains(&name.as_str()) {
                let text = format!("unable to delete required option '{name}'");
                return Err(Error::conflict(text));
            }
            if name == "unprivileged" {
                let text = format!("unable to delete read-only option: '{name}'");
                return Err(Error::conflict(text));
            }
        }
        if before.is_some() && self.set.contains_key("unprivileged") {
            let text = "unable to modify read-only option: 'unprivileged'";
            return Err(Error::conflict(text));
        }
        let after = self.awaited(before);
        CtConfig::parse(&after)
            .map(drop)
            .map_err(Error::invalid_fields)
    }

    /// The options from the next start on.
    fn awaited(&self, before: Option<&GuestRecord>) -> GuestConfig {
        let mut config = before.map_or_else(GuestConfig::default, |guest| guest.config.clone());
        let waiting = before
            .map(|guest| guest.pending.iter())
            .into_iter()
            .flatten();
        for (name, change) in waiting.filter(|(name, _)| !self.revert.contains(name)) {
            match change {
                PendingChange::Set(value) => config.set(name, value.clone()),
                PendingChange::Delete { .. } => {
                    config.0.remove(name);
                }
            }
        }
        for name in &self.delete {
            config.0.remove(name);
        }
        for (name, value) in &self.set {
            config.set(name, value.clone());
        }
        config
    }

    /// What the container will be, with everything that waits.
    pub fn config_after(&self, before: Option<&GuestRecord>) -> Result<CtConfig, Error> {
        CtConfig::parse(&self.awaited(before)).map_err(Error::invalid_fields)
    }

    /// Whether nothing has to be made for it.
    pub(crate) fn touches_volumes(&self) -> bool {
        let names = self.set.keys().chain(&self.delete).chain(&self.revert);
        names
            .into_iter()
            .any(|name| name.parse::<MountSlot>().is_ok() || is_indexed(name, "unused"))
    }

    /// Whether a running container has other limits afterwards.
    pub(crate) fn touches_limits(&self) -> bool {
        let mut names = self.set.keys().chain(&self.delete);
        names.any(|name| LIMITS.contains(&name.as_str()))
    }

    /// Whether a running container has other cards afterwards.
    pub(crate) fn touches_cards(&self) -> bool {
        let mut names = self.set.keys().chain(&self.delete);
        names.any(|name| is_indexed(name, "net"))
    }

    /// Puts the volumes' names into the values. To be called once all have names.
    pub(crate) fn name_volumes(&mut self) -> Result<(), Error> {
        for volume in &self.new_volumes {
            let slot = volume.slot;
            let missing = || Error::bug(format!("{slot} has no volume yet"));
            let name = volume.name.as_ref().ok_or_else(missing)?;
            let id = VolumeId::new(volume.storage.clone(), name.as_str())
                .map_err(|error| Error::bug(error.to_string()))?;
            let option = slot.to_string();
            let text = self.set.get(&option).and_then(Value::as_str);
            let mut mount = MountPoint::parse(slot, text.unwrap_or_default())
                .map_err(|error| Error::invalid(&option, error.to_string()))?;
            mount.set_volume(&id);
            mount.set_size(ByteSize(volume.bytes));
            self.set.insert(option, mount.print().into());
        }
        Ok(())
    }

    /// Changes a record. While the container runs, what it would have to be told waits in
    /// `pending`.
    pub(crate) fn apply<'a>(
        &self,
        guest: &mut GuestRecord,
        is_running: bool,
        names: &'a VolumeNames,
    ) -> Applied<'a> {
        let changes = Changes {
            set: &self.set,
            delete: &self.delete,
            revert: &self.revert,
            force: false,
        };
        let waits = |name: &str| is_running && !AT_ONCE.contains(&name) && !is_at_once(name);
        changes.apply(guest, waits, names)
    }
}

/// A number alone is a size on the default storage.
fn with_storage(text: &str, storage: &StorageId) -> String {
    let (first, rest) = text.split_once(',').unwrap_or((text, ""));
    let is_number = !first.is_empty()
        && first.chars().all(|c| c.is_ascii_digit() || c == '.')
        && first.parse::<f64>().is_ok();
    match (is_number, rest) {
        (false, _) => text.to_owned(),
        (true, "") => format!("{storage}:{first}"),
        (true, rest) => format!("{storage}:{first},{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use model::GuestKind;
    use serde_json::json;

    use super::*;

    fn edit(options: Value) -> Result<CtEdit, Error> {
        let Value::Object(options) = options else {
            panic!("an object")
        };
        let mac = || "BC:24:11:00:00:01".to_owned();
        CtEdit::new(&options, &"local".parse().unwrap(), &mac)
    }

    fn record(options: Value) -> GuestRecord {
        let edit = edit(options).unwrap();
        let config = GuestConfig(edit.set);
        let node = "pve1".parse().unwrap();
        GuestRecord {
            config,
            ..GuestRecord::new("200".parse().unwrap(), GuestKind::Lxc, node, 0)
        }
    }

    #[test]
    fn a_new_container_gets_the_defaults_of_proxmox_ve() {
        let mut edit = edit(json!({"rootfs": "4", "cores": 1, "cpulimit": 1.0})).unwrap();
        edit.fill_in("200".parse().unwrap());
        let expected = json!({
            "rootfs": "local:4", "cores": 1, "cpulimit": "1.0", "hostname": "CT200", "memory": 512,
            "swap": 512, "unprivileged": 1
        });
        assert_eq!(serde_json::to_value(&edit.set).unwrap(), expected);
        assert_eq!(edit.new_volumes[0].bytes, 4 << 30);
        edit.new_volumes[0].name = Some("200/vm-200-disk-0.raw".into());
        edit.name_volumes().unwrap();
        assert_eq!(edit.set["rootfs"], "local:200/vm-200-disk-0.raw,size=4G");
    }

    #[test]
    fn what_a_container_needs_stays() {
        let guest = record(json!({"rootfs": "local:200/vm-200-disk-0.raw", "unprivileged": true}));
        for (name, text) in [
            ("rootfs", "unable to delete required option 'rootfs'"),
            ("memory", "unable to delete required option 'memory'"),
            (
                "unprivileged",
                "unable to delete read-only option: 'unprivileged'",
            ),
        ] {
            let edit = CtEdit {
                delete: vec![name.to_owned()],
                ..CtEdit::default()
            };
            assert_eq!(edit.check(Some(&guest)).unwrap_err().message, text);
        }
        let edit = edit(json!({"unprivileged": false})).unwrap();
        let refused = edit.check(Some(&guest)).unwrap_err().message;
        assert_eq!(refused, "unable to modify read-only option: 'unprivileged'");
        assert!(edit.check(None).is_ok());
    }

    #[test]
    fn while_it_runs_only_some_options_change_at_once() {
        let names = VolumeNames::default();
        let mut guest = record(json!({"memory": 64, "hostname": "a", "tty": 2}));
        let edit = edit(json!({"memory": 128, "hostname": "b", "tty": 4})).unwrap();
        edit.apply(&mut guest, true, &names);
        assert_eq!(guest.config.text("memory").as_deref(), Some("128"));
        assert_eq!(guest.config.text("hostname").as_deref(), Some("b"));
        assert_eq!(guest.config.text("tty").as_deref(), Some("2"));
        assert_eq!(guest.pending.keys().collect::<Vec<_>>(), ["tty"]);
        assert!(edit.touches_limits() && !edit.touches_volumes());
    }
}
