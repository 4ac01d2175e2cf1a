//! The state of a fake QEMU: devices, block nodes, objects, descriptors. Like QEMU, it refuses
//! names that are taken and the removal of objects in use.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

type Refusal = (&'static str, String);

#[derive(Default)]
pub(super) struct Machine {
    /// By id, with their arguments.
    devices: BTreeMap<String, Value>,
    nodes: BTreeMap<String, Value>,
    objects: BTreeSet<String>,
    netdevs: BTreeSet<String>,
    /// By number, each with the text given for its descriptor.
    sets: BTreeMap<u64, String>,
    /// Changed settings, by their object.
    settings: BTreeMap<String, Value>,
    /// Internal snapshots, as node and name.
    snapshots: BTreeSet<(String, String)>,
    /// The state of the last migration.
    migration: Migration,
    /// What others may write to, by name; none while no server listens.
    exports: Option<BTreeSet<String>>,
    /// Jobs that were not dismissed, with their states; for some also the node that takes another
    /// one's place in the end.
    jobs: BTreeMap<String, (&'static str, Option<Replacement>)>,
    /// What is still to be said.
    pub(super) events: Vec<Value>,
}

/// The target of a mirror, or the layer that a drive moves down to.
#[derive(Clone)]
struct Replacement {
    by: String,
    replaces: String,
    /// The job says that it has ended, and is gone.
    dismisses_itself: bool,
}

/// A migration that advances with each query.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Migration {
    #[default]
    None,
    PreSwitchover,
    Completed,
}

fn refused(text: impl Into<String>) -> Refusal {
    ("GenericError", text.into())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Machine {
    pub(super) fn started(arguments: &[String]) -> Self {
        let mut machine = Self::default();
        for pair in arguments.windows(2) {
            let value: Value = serde_json::from_str(&pair[1]).unwrap_or_default();
            match pair[0].as_str() {
                "-device" => drop(machine.devices.insert(text(&value["id"]), value)),
                "-blockdev" => drop(machine.nodes.insert(text(&value["node-name"]), value)),
                "-object" => drop(machine.objects.insert(text(&value["id"]))),
                "-netdev" => drop(machine.netdevs.insert(text(&value["id"]))),
                "-add-fd" => {
                    let part = |name: &str| {
                        let parts = pair[1].split(',').filter_map(|part| part.split_once('='));
                        parts
                            .clone()
                            .find(|(key, _)| *key == name)
                            .map(|(_, v)| v.to_owned())
                    };
                    let set = part("set").and_then(|set| set.parse().ok()).unwrap_or(0);
                    machine.sets.insert(set, part("opaque").unwrap_or_default());
                }
                _ => {}
            }
        }
        machine
    }

    pub(super) fn inventory(&self) -> Vec<String> {
        let devices = self
            .devices
            .iter()
            .map(|(id, d)| format!("device {id} {d}"));
        let nodes = self
            .nodes
            .iter()
            .map(|(name, n)| format!("node {name} {n}"));
        let objects = self.objects.iter().map(|id| format!("object {id}"));
        let netdevs = self.netdevs.iter().map(|id| format!("netdev {id}"));
        let sets = self
            .sets
            .iter()
            .map(|(set, said)| format!("descriptor {set} {said}"));
        let settings = self
            .settings
            .iter()
            .map(|(what, v)| format!("setting {what} {v}"));
        let snapshots = self
            .snapshots
            .iter()
            .map(|(node, name)| format!("snapshot {name} of {node}"));
        let jobs = self
            .jobs
            .iter()
            .map(|(id, (state, _))| format!("job {id} {state}"));
        let exports = self.exports.iter().flatten();
        let exports = exports.map(|name| format!("export {name}"));
        devices
            .chain(snapshots)
            .chain(exports)
            .chain(jobs)
            .chain(nodes)
            .chain(objects)
            .chain(netdevs)
            .chain(sets)
            .chain(settings)
            .collect()
    }

    pub(super) fn execute(&mut self, command: &str, given: &Value) -> Result<Value, Refusal> {
        if let Some(answer) = self.query(command, given) {
            return Ok(answer);
        }
        if let Some(done) = self.copy(command, given) {
            return done.map(|()| json!({}));
        }
        self.change(command, given).map(|()| json!({}))
    }

    /// Commands that only read.
    fn query(&self, command: &str, given: &Value) -> Option<Value> {
        Some(match command {
            "qom-list" => self.list(&text(&given["path"])),
            "query-named-block-nodes" => {
                let rows = self.nodes.iter().map(|(node, given)| {
                    let of_node = self.snapshots.iter().filter(|(of, _)| of == node);
                    let snapshots = of_node.map(|(_, name)| json!({"name": name}));
                    let snapshots: Vec<Value> = snapshots.collect();
                    let file = &given["filename"];
                    json!({"node-name": node, "file": file, "image": {"snapshots": snapshots}})
                });
                rows.collect()
            }
            "query-blockstats" => {
                let drives = self.devices.values().map(|device| text(&device["drive"]));
                let rows = drives.filter(|drive| !drive.is_empty());
                rows.map(|drive| self.statistics(&drive)).collect()
            }
            "query-migrate" => match self.migration {
                Migration::None => json!({}),
                Migration::PreSwitchover => json!({"status": "pre-switchover"}),
                Migration::Completed => json!({"status": "completed"}),
            },
            "query-jobs" => {
                let rows = self.jobs.iter().map(|(id, (state, _))| {
                    // Those that move a drive are complete without `job-finalize`.
                    let state = state.trim_end_matches(" to move");
                    json!({"id": id, "status": state})
                });
                rows.collect()
            }
            "query-fdsets" => {
                let sets = self.sets.iter().map(
                    |(set, said)| json!({"fdset-id": set, "fds": [{"fd": set, "opaque": said}]}),
                );
                sets.collect()
            }
            _ => return None,
        })
    }

    /// Migration, snapshots and jobs; none for another command.
    fn copy(&mut self, command: &str, given: &Value) -> Option<Result<(), Refusal>> {
        let id = text(&given["id"]);
        match command {
            "migrate-set-capabilities" | "migrate-set-parameters" | "migrate-incoming" => {}
            "migrate" => self.migration = Migration::PreSwitchover,
            "migrate-continue" => self.migration = Migration::Completed,
            "migrate_cancel" => {
                if self.migration == Migration::PreSwitchover {
                    self.migration = Migration::None;
                }
            }
            "transaction" if given["actions"][0]["type"] == "blockdev-backup" => {
                let mut actions = given["actions"].as_array().into_iter().flatten();
                let start = |action: &Value| self.start_job(&action["data"], "concluded", None);
                return Some(actions.try_for_each(start));
            }
            "transaction" => return Some(self.snapshot(given)),
            "nbd-server-start" => self.exports = Some(BTreeSet::new()),
            "nbd-server-stop" => {
                let none = || refused("NBD server not running");
                return Some(self.exports.take().map(drop).ok_or_else(none));
            }
            "block-export-add" => {
                let (node, name) = (text(&given["node-name"]), text(&given["name"]));
                let is_there = self.nodes.contains_key(&node);
                let exports = self.exports.as_mut().filter(|_| is_there);
                let missing = || refused(format!("cannot export {node}"));
                return Some(exports.ok_or_else(missing).map(|all| {
                    all.insert(name);
                }));
            }
            "blockdev-mirror" => return Some(self.mirror(given)),
            "job-complete" => {
                let missing = || refused(format!("Job '{id}' not found"));
                let job = self.jobs.get_mut(&id);
                return Some(job.ok_or_else(missing).map(|job| job.0 = "pending"));
            }
            "block-commit" => return Some(self.merge_down(given)),
            "job-finalize" => return Some(self.finalize(&id)),
            "block-job-cancel" => {
                let device = text(&given["device"]);
                let job = self.jobs.get_mut(&device);
                let missing = || ("DeviceNotActive", format!("Job '{device}' not found"));
                return Some(job.ok_or_else(missing).map(|job| job.0 = "concluded"));
            }
            "job-dismiss" => {
                let missing = || ("GenericError", format!("Job '{id}' not found"));
                return Some(self.jobs.remove(&id).map(drop).ok_or_else(missing));
            }
            "blockdev-snapshot-delete-internal-sync" => {
                let snapshot = (text(&given["device"]), text(&given["name"]));
                let removed = self.snapshots.remove(&snapshot);
                let missing = || refused("Snapshot does not exist");
                return Some(removed.then_some(()).ok_or_else(missing));
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    /// Devices, nodes, objects, descriptors, settings.
    fn change(&mut self, command: &str, given: &Value) -> Result<(), Refusal> {
        let id = text(&given["id"]);
        match command {
            "device_add" => self.add_device(id, given)?,
            "device_del" => {
                let gone = self.devices.remove(&id);
                gone.ok_or(("DeviceNotFound", format!("Device '{id}' not found")))?;
            }
            "blockdev-add" => self.add_node(given)?,
            "blockdev-del" => self.remove_node(&text(&given["node-name"]))?,
            "object-add" => {
                if !self.objects.insert(id.clone()) {
                    return Err(refused(format!("attempt to add duplicate property '{id}'")));
                }
            }
            "object-del" => {
                if !self.objects.remove(&id) {
                    return Err(refused(format!("object '{id}' not found")));
                }
            }
            "netdev_add" => {
                if !self.netdevs.insert(id.clone()) {
                    return Err(refused(format!("Duplicate ID '{id}' for netdev")));
                }
            }
            "netdev_del" => {
                if !self.netdevs.remove(&id) {
                    return Err(("DeviceNotFound", format!("Device '{id}' not found")));
                }
            }
            "add-fd" => {
                let set = given["fdset-id"].as_u64().unwrap_or(0);
                self.sets.insert(set, text(&given["opaque"]));
            }
            "remove-fd" => {
                self.sets.remove(&given["fdset-id"].as_u64().unwrap_or(0));
            }
            "getfd" => {}
            "qom-set" | "set_link" | "balloon" => {
                let of = [&given["path"], &given["name"]].map(text).join("");
                let what = format!("{command} {of} {}", text(&given["property"]));
                self.settings.insert(what, given.clone());
            }
            "blockdev-open-tray" | "blockdev-close-tray" => {}
            "blockdev-remove-medium" => self.set_medium(&id, Value::Null)?,
            "blockdev-insert-medium" => self.set_medium(&id, given["node-name"].clone())?,
            other => {
                let text = format!("The command {other} has not been found");
                return Err(("CommandNotFound", text));
            }
        }
        Ok(())
    }

    fn start_job(
        &mut self,
        given: &Value,
        state: &'static str,
        replacement: Option<Replacement>,
    ) -> Result<(), Refusal> {
        for name in ["device", "target"] {
            let node = text(&given[name]);
            if !given[name].is_null() && !self.nodes.contains_key(&node) {
                return Err(refused(format!("Cannot find device='{node}'")));
            }
        }
        let id = text(&given["job-id"]);
        if self.jobs.contains_key(&id) {
            return Err(refused(format!("Job ID '{id}' already in use")));
        }
        self.jobs.insert(id, (state, replacement));
        Ok(())
    }

    fn mirror(&mut self, given: &Value) -> Result<(), Refusal> {
        let [by, replaces] = ["target", "replaces"].map(|name| text(&given[name]));
        let replacement = Replacement {
            by,
            replaces,
            dismisses_itself: false,
        };
        let replaces_one = !given["replaces"].is_null();
        self.start_job(given, "ready", replaces_one.then_some(replacement))
    }

    fn finalize(&mut self, id: &str) -> Result<(), Refusal> {
        let missing = || refused(format!("Job '{id}' not found"));
        let job = self.jobs.get_mut(id).ok_or_else(missing)?;
        job.0 = "concluded";
        if let Some(replacement) = job.1.clone() {
            self.replace(&replacement.replaces, &replacement.by);
            if replacement.dismisses_itself {
                self.jobs.remove(id);
                let data = json!({"device": id, "type": "commit"});
                self.events
                    .push(json!({"event": "BLOCK_JOB_COMPLETED", "data": data}));
            }
        }
        Ok(())
    }

    /// What is on one node is on another one from then on.
    fn replace(&mut self, old: &str, new: &str) {
        for (name, node) in &mut self.nodes {
            for child in ["file", "backing"] {
                if name != new && node[child] == old {
                    node[child] = new.into();
                }
            }
        }
    }

    /// Of the layer that the drive writes to: the others need the images' headers.
    fn merge_down(&mut self, given: &Value) -> Result<(), Refusal> {
        let [top, base] = ["top-node", "base-node"].map(|name| text(&given[name]));
        if self
            .nodes
            .get(&top)
            .is_none_or(|node| node["backing"] != base.as_str())
        {
            return Err(refused(format!("'{base}' is not below '{top}'")));
        }
        let (by, replaces) = (base, top);
        let replacement = Replacement {
            by,
            replaces,
            dismisses_itself: true,
        };
        self.start_job(given, "ready", Some(replacement))
    }

    /// A row of `query-blockstats`: a node with what is below it.
    fn statistics(&self, name: &str) -> Value {
        let mut row = json!({"node-name": name});
        let node = self.nodes.get(name);
        let children = ["file", "backing"].map(|child| node.map(|node| text(&node[child])));
        let is_filter = node.is_some_and(|node| node["driver"] == "throttle");
        let [file, backing] = children;
        let below = if is_filter { file } else { backing };
        if let Some(below) = below.filter(|below| !below.is_empty()) {
            row["backing"] = self.statistics(&below);
        }
        row
    }

    /// Of all nodes or of none.
    fn snapshot(&mut self, given: &Value) -> Result<(), Refusal> {
        let (mut made, mut layers) = (BTreeSet::new(), Vec::new());
        for action in given["actions"].as_array().into_iter().flatten() {
            let data = &action["data"];
            if action["type"] == "blockdev-snapshot" {
                let [image, layer] = ["node", "overlay"].map(|name| text(&data[name]));
                if !self.nodes.contains_key(&image) || !self.nodes.contains_key(&layer) {
                    return Err(refused(format!("cannot put {layer} above {image}")));
                }
                layers.push((image, layer));
                continue;
            }
            let snapshot = (text(&data["device"]), text(&data["name"]));
            if !self.nodes.contains_key(&snapshot.0) || self.snapshots.contains(&snapshot) {
                return Err(refused(format!("cannot snapshot {}", snapshot.0)));
            }
            made.insert(snapshot);
        }
        self.snapshots.extend(made);
        for (image, layer) in layers {
            self.replace(&image, &layer);
            if let Some(node) = self.nodes.get_mut(&layer) {
                node["backing"] = image.into();
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> Value {
        let names: Vec<&String> = match path {
            "/machine/peripheral" => self.devices.keys().collect(),
            "/objects" => self.objects.iter().collect(),
            _ => Vec::new(),
        };
        let row = |name: &&String| json!({"name": name, "type": "child<thing>"});
        names.iter().map(row).collect()
    }

    fn add_device(&mut self, id: String, given: &Value) -> Result<(), Refusal> {
        if self.devices.contains_key(&id) {
            return Err(refused(format!("Duplicate device ID '{id}'")));
        }
        let node = text(&given["drive"]);
        if !node.is_empty() && !self.nodes.contains_key(&node) {
            return Err(refused(format!("Can't find node '{node}'")));
        }
        let netdev = text(&given["netdev"]);
        if !netdev.is_empty() && !self.netdevs.contains(&netdev) {
            return Err(refused(format!("Can't find netdev '{netdev}'")));
        }
        self.find_set(&text(&given["hostdevice"]))?;
        self.devices.insert(id, given.clone());
        Ok(())
    }

    /// A file that is a set of descriptors must be one that was passed.
    fn find_set(&self, file: &str) -> Result<(), Refusal> {
        let Some(set) = file.strip_prefix("/dev/fdset/") else {
            return Ok(());
        };
        let found = set
            .parse()
            .is_ok_and(|set: u64| self.sets.contains_key(&set));
        found
            .then_some(())
            .ok_or_else(|| refused(format!("there is no set {set}")))
    }

    fn add_node(&mut self, given: &Value) -> Result<(), Refusal> {
        let name = text(&given["node-name"]);
        if self.nodes.contains_key(&name) {
            return Err(refused(format!("Duplicate nodes with node-name='{name}'")));
        }
        let below = text(&given["file"]);
        if !below.is_empty() && !self.nodes.contains_key(&below) {
            return Err(refused(format!("Can't find node '{below}'")));
        }
        self.find_set(&text(&given["filename"]))?;
        self.nodes.insert(name, given.clone());
        Ok(())
    }

    fn remove_node(&mut self, name: &str) -> Result<(), Refusal> {
        let in_use = self.devices.values().any(|device| device["drive"] == name)
            || self
                .nodes
                .values()
                .any(|node| node["file"] == name || node["backing"] == name);
        if in_use {
            return Err(refused(format!("Node {name} is in use")));
        }
        let gone = self.nodes.remove(name);
        gone.map(drop)
            .ok_or_else(|| refused(format!("Failed to find node with node-name='{name}'")))
    }

    fn set_medium(&mut self, id: &str, node: Value) -> Result<(), Refusal> {
        let device = self.devices.get_mut(id);
        let device = device.ok_or(("DeviceNotFound", format!("Device '{id}' not found")))?;
        if node.is_null() {
            device.as_object_mut().map(|device| device.remove("drive"));
        } else {
            device["drive"] = node;
        }
        Ok(())
    }
}
