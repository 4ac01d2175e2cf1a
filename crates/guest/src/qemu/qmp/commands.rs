//! Typed commands. Each works with QEMU 7.2 and 10.0.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Qmp, QmpError};
use crate::qemu::argv::AGENT_SOCKET;
use crate::qemu::balloon::{MemoryStatistics, memory_statistics};
use crate::qemu::{DiskUsage, QemuVersion, disk_usage};

/// The run state (`query-status`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub running: bool,
    /// `prelaunch`, `running`, `paused`, `shutdown`, …
    pub state: String,
}

/// A password for the next VNC connections.
#[derive(Clone)]
pub struct VncPassword<'a> {
    /// VNC uses the first 8 characters.
    pub password: &'a str,
    /// From now on.
    pub valid_seconds: u32,
}

/// A key, by QEMU's name for it (`ctrl`, `a`, `f1`).
pub type InputKey<'a> = &'a str;

/// The path of the balloon, if there is one.
const BALLOON: &str = "/machine/peripheral/balloon0";

/// Plugging and block work may wait for the guest or for a disk.
pub(super) const SLOW: Duration = Duration::from_secs(60);

/// How often a guest may close its drive before a medium is left in it.
const CLOSED_AGAIN: u32 = 10;

impl Qmp {
    pub async fn status(&self) -> Result<Status, QmpError> {
        let answer = self.execute("query-status", Value::Null).await?;
        match (answer["running"].as_bool(), answer["status"].as_str()) {
            (Some(running), Some(state)) => Ok(Status {
                running,
                state: state.to_owned(),
            }),
            _ => Err(unexpected("query-status", &answer)),
        }
    }

    pub async fn version(&self) -> Result<QemuVersion, QmpError> {
        let answer = self.execute("query-version", Value::Null).await?;
        QemuVersion::from_query(&answer).map_err(|_| unexpected("query-version", &answer))
    }

    /// Lets the guest run.
    pub async fn cont(&self) -> Result<(), QmpError> {
        self.tell("cont").await
    }

    /// Pauses the guest.
    pub async fn pause(&self) -> Result<(), QmpError> {
        self.tell("stop").await
    }

    /// Wakes a guest that is suspended to RAM.
    pub async fn wake_up(&self) -> Result<(), QmpError> {
        self.tell("system_wakeup").await
    }

    /// Presses the power button, which the guest may ignore.
    pub async fn press_power_button(&self) -> Result<(), QmpError> {
        self.tell("system_powerdown").await
    }

    pub async fn reset(&self) -> Result<(), QmpError> {
        self.tell("system_reset").await
    }

    /// Ends QEMU. A lost connection counts as success.
    pub async fn quit(&self) -> Result<(), QmpError> {
        match self.tell("quit").await {
            Err(error) if error.is_lost() => Ok(()),
            other => other,
        }
    }

    /// Sets a disk's new size. A volume that QEMU cannot resize has been resized before.
    pub async fn resize_block(&self, node: &str, bytes: u64) -> Result<(), QmpError> {
        let arguments = json!({"node-name": node, "size": bytes});
        self.execute_within("block_resize", arguments, SLOW)
            .await
            .map(drop)
    }

    /// Sets the throughput limits of a drive; `limits` is from `block::limits`.
    pub async fn set_throttle(&self, group: &str, limits: Value) -> Result<(), QmpError> {
        let arguments = json!({"path": group, "property": "limits", "value": limits});
        self.execute("qom-set", arguments).await.map(drop)
    }

    /// Sets the password for VNC, and its expiry.
    pub async fn set_vnc_password(&self, vnc: VncPassword<'_>) -> Result<(), QmpError> {
        let password = json!({"protocol": "vnc", "password": vnc.password});
        self.execute("set_password", password).await?;
        let time = format!("+{}", vnc.valid_seconds);
        self.execute("expire_password", json!({"protocol": "vnc", "time": time}))
            .await
            .map(drop)
    }

    /// Whether a client is connected to the socket of a serial port. False for a missing port.
    pub async fn is_serial_taken(&self, port: u8) -> Result<bool, QmpError> {
        let answer = self.execute("query-chardev", Value::Null).await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-chardev", &answer))?;
        let label = format!("serial{port}-socket");
        let row = rows.iter().find(|row| row["label"] == label.as_str());
        let filename = row.and_then(|row| row["filename"].as_str());
        Ok(filename.is_some_and(|filename| !filename.starts_with("disconnected:")))
    }

    /// Whether a program in the guest has the agent's port open. For type `isa` QEMU always reports
    /// true; none without a port.
    pub async fn is_agent_open(&self) -> Result<Option<bool>, QmpError> {
        let answer = self.execute("query-chardev", Value::Null).await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-chardev", &answer))?;
        let row = rows.iter().find(|row| row["label"] == AGENT_SOCKET);
        Ok(row.and_then(|row| row["frontend-open"].as_bool()))
    }

    /// Executes a command of the human monitor; its output is text for people.
    pub async fn human_monitor(&self, line: &str) -> Result<String, QmpError> {
        let arguments = json!({"command-line": line});
        let answer = self
            .execute_within("human-monitor-command", arguments, SLOW)
            .await?;
        let text = answer.as_str().map(str::to_owned);
        text.ok_or_else(|| unexpected("human-monitor-command", &answer))
    }

    /// The bytes that the guest has read and written.
    pub async fn disk_usage(&self) -> Result<DiskUsage, QmpError> {
        self.execute("query-blockstats", Value::Null)
            .await
            .map(|answer| disk_usage(&answer))
    }

    /// The threads on the host that run the guest's processors.
    pub async fn processor_threads(&self) -> Result<Vec<u32>, QmpError> {
        let answer = self.execute("query-cpus-fast", Value::Null).await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-cpus-fast", &answer))?;
        let thread = |row: &Value| {
            row["thread-id"]
                .as_u64()
                .and_then(|id| u32::try_from(id).ok())
        };
        Ok(rows.iter().filter_map(thread).collect())
    }

    /// The guest's current memory, in bytes; `None` without a balloon.
    pub async fn balloon(&self) -> Result<Option<u64>, QmpError> {
        match self.execute("query-balloon", Value::Null).await {
            Ok(answer) => Ok(answer["actual"].as_u64()),
            Err(QmpError::Refused { class, .. })
                if matches!(class.as_str(), "DeviceNotActive" | "KVMMissingCap") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes QEMU poll the guest's memory figures.
    pub async fn poll_memory(&self, seconds: u64) -> Result<(), QmpError> {
        self.set_property(BALLOON, "guest-stats-polling-interval", seconds.into())
            .await
    }

    /// The guest's last memory figures; `None` without a balloon.
    pub async fn memory_statistics(&self) -> Result<Option<MemoryStatistics>, QmpError> {
        match self.property(BALLOON, "guest-stats").await {
            Ok(answer) => Ok(Some(memory_statistics(&answer))),
            Err(QmpError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the balloon's target.
    pub async fn set_balloon(&self, bytes: u64) -> Result<(), QmpError> {
        self.execute("balloon", json!({"value": bytes}))
            .await
            .map(drop)
    }

    /// Presses these keys together and releases them.
    pub async fn send_keys(&self, keys: &[InputKey<'_>]) -> Result<(), QmpError> {
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| json!({"type": "qcode", "data": key}))
            .collect();
        self.execute("send-key", json!({"keys": keys}))
            .await
            .map(drop)
    }

    /// Sets the link of a network card up or down.
    pub async fn set_link(&self, id: &str, up: bool) -> Result<(), QmpError> {
        self.execute("set_link", json!({"name": id, "up": up}))
            .await
            .map(drop)
    }

    /// Adds a device; `arguments` is from `Device::arguments`.
    pub async fn add_device(&self, arguments: Value) -> Result<(), QmpError> {
        self.execute_within("device_add", arguments, SLOW)
            .await
            .map(drop)
    }

    /// Asks the guest to release a device. The event `DEVICE_DELETED` reports that it is gone.
    pub async fn remove_device(&self, id: &str) -> Result<(), QmpError> {
        self.execute("device_del", json!({"id": id}))
            .await
            .map(drop)
    }

    /// Opens a block node; `node` is from `block::nodes`.
    pub async fn add_block_node(&self, node: Value) -> Result<(), QmpError> {
        self.execute_within("blockdev-add", node, SLOW)
            .await
            .map(drop)
    }

    pub async fn remove_block_node(&self, name: &str) -> Result<(), QmpError> {
        self.execute_within("blockdev-del", json!({"node-name": name}), SLOW)
            .await
            .map(drop)
    }

    /// Creates an object, such as `block::throttle_object`.
    pub async fn add_object(&self, object: Value) -> Result<(), QmpError> {
        self.execute("object-add", object).await.map(drop)
    }

    pub async fn remove_object(&self, id: &str) -> Result<(), QmpError> {
        self.execute("object-del", json!({"id": id}))
            .await
            .map(drop)
    }

    /// Passes QEMU a descriptor of an image, as a set with the path `/dev/fdset/N`.
    /// `descriptor_sets` returns `what`.
    pub async fn add_descriptor(
        &self,
        set: u64,
        what: &str,
        descriptor: BorrowedFd<'_>,
    ) -> Result<(), QmpError> {
        let arguments = json!({"fdset-id": set, "opaque": what});
        self.execute_passing("add-fd", arguments, descriptor)
            .await
            .map(drop)
    }

    /// A free number for a set. Those of the start are lower.
    pub async fn free_descriptor_set(&self) -> Result<u64, QmpError> {
        const FIRST: u64 = 1000;
        let taken = self.descriptor_sets().await?;
        let is_free = |set: &u64| taken.iter().all(|(number, _)| number != set);
        Ok((FIRST..).find(is_free).unwrap_or(FIRST))
    }

    /// QEMU closes the descriptors of a set once they are not in use.
    pub async fn remove_descriptors(&self, set: u64) -> Result<(), QmpError> {
        self.execute("remove-fd", json!({"fdset-id": set}))
            .await
            .map(drop)
    }

    /// The sets of descriptors, each with the text given when it was added.
    pub async fn descriptor_sets(&self) -> Result<Vec<(u64, Vec<String>)>, QmpError> {
        let answer = self.execute("query-fdsets", Value::Null).await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-fdsets", &answer))?;
        let set = |row: &Value| {
            let descriptors = row["fds"].as_array()?;
            let said = descriptors.iter().filter_map(|fd| fd["opaque"].as_str());
            Some((row["fdset-id"].as_u64()?, said.map(str::to_owned).collect()))
        };
        Ok(rows.iter().filter_map(set).collect())
    }

    /// Passes QEMU a descriptor under a name, for `add_netdev`.
    pub async fn name_descriptor(
        &self,
        name: &str,
        descriptor: BorrowedFd<'_>,
    ) -> Result<(), QmpError> {
        self.execute_passing("getfd", json!({"fdname": name}), descriptor)
            .await
            .map(drop)
    }

    /// The names below a path of QEMU's object tree, such as `/machine/peripheral`, which contains
    /// all devices with an id.
    pub async fn children(&self, path: &str) -> Result<Vec<String>, QmpError> {
        let answer = self.execute("qom-list", json!({"path": path})).await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("qom-list", &answer))?;
        let child = |row: &Value| {
            let is_child = row["type"].as_str()?.starts_with("child<");
            is_child.then(|| row["name"].as_str().map(str::to_owned))?
        };
        Ok(rows.iter().filter_map(child).collect())
    }

    pub async fn property(&self, path: &str, property: &str) -> Result<Value, QmpError> {
        self.execute("qom-get", json!({"path": path, "property": property}))
            .await
    }

    pub async fn set_property(
        &self,
        path: &str,
        property: &str,
        value: Value,
    ) -> Result<(), QmpError> {
        let arguments = json!({"path": path, "property": property, "value": value});
        self.execute("qom-set", arguments).await.map(drop)
    }

    /// The names of all named block nodes.
    pub async fn block_nodes(&self) -> Result<Vec<String>, QmpError> {
        let files = self.node_files().await?;
        Ok(files.into_iter().map(|(name, _)| name).collect())
    }

    /// All named block nodes, each with the file that it is or is on.
    pub async fn node_files(&self) -> Result<Vec<(String, String)>, QmpError> {
        let flat = json!({"flat": true});
        let answer = self
            .execute_within("query-named-block-nodes", flat, SLOW)
            .await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-named-block-nodes", &answer))?;
        let node = |row: &Value| {
            let file = row["file"].as_str().unwrap_or_default().to_owned();
            row["node-name"]
                .as_str()
                .map(|name| (name.to_owned(), file))
        };
        Ok(rows.iter().filter_map(node).collect())
    }

    pub async fn add_netdev(&self, netdev: Value) -> Result<(), QmpError> {
        self.execute("netdev_add", netdev).await.map(drop)
    }

    pub async fn remove_netdev(&self, id: &str) -> Result<(), QmpError> {
        self.execute("netdev_del", json!({"id": id}))
            .await
            .map(drop)
    }

    /// Puts the medium of a block node into a CD-ROM drive.
    pub async fn insert_medium(&self, device: &str, node: &str) -> Result<(), QmpError> {
        let arguments = json!({"id": device, "node-name": node});
        self.execute("blockdev-insert-medium", arguments).await?;
        self.execute("blockdev-close-tray", json!({"id": device}))
            .await
            .map(drop)
    }

    /// Opens a CD-ROM drive and removes the medium, even if the guest has locked it, or closes the
    /// drive in between, as firmware does when it looks for a system.
    pub async fn remove_medium(&self, device: &str) -> Result<(), QmpError> {
        let mut tries = 0..CLOSED_AGAIN;
        loop {
            let open = json!({"id": device, "force": true});
            self.execute("blockdev-open-tray", open).await?;
            let removed = self.execute("blockdev-remove-medium", json!({"id": device}));
            match removed.await {
                Err(QmpError::Refused { description, .. })
                    if description.contains("is not open") && tries.next().is_some() => {}
                removed => return removed.map(drop),
            }
        }
    }

    async fn tell(&self, command: &str) -> Result<(), QmpError> {
        self.execute(command, Value::Null).await.map(drop)
    }
}

pub(super) fn unexpected(command: &str, answer: &Value) -> QmpError {
    let mut what = answer.to_string();
    what.truncate(
        what.char_indices()
            .nth(200)
            .map_or(what.len(), |(at, _)| at),
    );
    QmpError::Unexpected {
        command: command.to_owned(),
        what,
    }
}
