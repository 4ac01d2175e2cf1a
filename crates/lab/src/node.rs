//! One node: a QEMU, its monitor, its agent and its disks.

use std::fs::{self, File, OpenOptions};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Agent, Job, Output, beginning};
use crate::clock::time_of_day;
use crate::disk::Disk;
use crate::machine::{self, Beginning, Board, Drive, Hardware, Identity, Parts, Places};
use crate::qmp::{Event, Events, Qmp};
use crate::watched::Watched;
use crate::{LabError, Moment};

/// The default time limit of a script.
const SCRIPT: Duration = Duration::from_secs(60);

/// The time limit from power to agent; a few times what it takes on an idle host.
pub(crate) const BOOT: Duration = Duration::from_secs(120);

/// The time limit of short operations of QEMU on a busy host.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A running QEMU.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) child: Mutex<Child>,
    pub(crate) qmp: Qmp,
    pub(crate) agent: Arc<Agent>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) identity: Identity,
    parts: Parts,
    pub(crate) places: Places,
    monitor: UnixListener,
    hardware: Mutex<Hardware>,
    machine: Mutex<Option<Arc<Machine>>>,
    pub(crate) events: Events,
    pub(crate) disks: Mutex<Vec<Disk>>,
    /// The number of drives made for `deliver`; numbers are never reused.
    delivered: Mutex<u32>,
    /// The number of drives that were plugged in.
    plugged: Mutex<u32>,
}

/// A node of a lab. Clones are the same node.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
}

impl Node {
    pub(crate) fn new(folder: &Path, parts: Parts, identity: Identity) -> Result<Node, LabError> {
        let places = Places(folder.join(&identity.name));
        fs::create_dir_all(&places.0).map_err(LabError::file("make", &places.0))?;
        let socket = places.monitor();
        let monitor = UnixListener::bind(&socket).map_err(LabError::file("listen on", &socket))?;
        Ok(Node {
            inner: Arc::new(Inner {
                identity,
                parts,
                places,
                monitor,
                hardware: Mutex::default(),
                machine: Mutex::new(None),
                events: Events::default(),
                disks: Mutex::default(),
                delivered: Mutex::default(),
                plugged: Mutex::default(),
            }),
        })
    }

    /// Its name, which is also its host name: `n1` and so on.
    pub fn name(&self) -> &str {
        &self.inner.identity.name
    }

    /// Its number, from 1; its address on `eth0` ends with it.
    pub fn number(&self) -> u8 {
        self.inner.identity.number
    }

    /// The address of `eth0`, without a prefix length.
    pub fn address(&self) -> String {
        format!("10.77.0.{}", self.number())
    }

    /// The hardware address of a card.
    pub fn mac(&self, card: usize) -> String {
        self.inner.identity.mac(card)
    }

    pub(crate) fn machine(&self) -> Result<Arc<Machine>, LabError> {
        let machine = self.slot().clone();
        machine.ok_or_else(|| LabError::Gone {
            node: self.name().to_owned(),
            how: "is off".to_owned(),
        })
    }

    pub(crate) fn slot(&self) -> MutexGuard<'_, Option<Arc<Machine>>> {
        let machine = &self.inner.machine;
        machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hardware(&self) -> MutexGuard<'_, Hardware> {
        let hardware = &self.inner.hardware;
        hardware.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the node another processor, as QEMU's `-cpu` takes it, from its next `start` on.
    pub fn exchange_cpu(&self, cpu: &str) {
        cpu.clone_into(&mut self.hardware().cpu);
    }

    /// Gives the node another board, from its next `start` on.
    pub fn exchange_board(&self, board: Board) {
        self.hardware().board = board;
    }

    fn disks(&self) -> MutexGuard<'_, Vec<Disk>> {
        let disks = &self.inner.disks;
        disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a QEMU. A cold one boots at once; one that is to be restored waits.
    pub(crate) fn launch(&self, beginning: Beginning) -> Result<(), LabError> {
        let mut slot = self.slot();
        if slot.is_some() {
            return Err(LabError::Gone {
                node: self.name().to_owned(),
                how: "is on already".to_owned(),
            });
        }
        let Inner {
            identity,
            parts,
            places,
            ..
        } = &*self.inner;
        let drives: Result<Vec<Drive>, LabError> =
            self.disks().iter().map(|disk| self.drive(disk)).collect();
        let hardware = self.hardware().clone();
        let argv = machine::argv(parts, identity, places, &hardware, beginning, &drives?);
        let log = places.qemu_log();
        let said = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(LabError::file("write", &log))?;
        let mut child = crate::process::spawn_bound(&argv, &said)?;
        match self.meet(&child) {
            Ok((qmp, agent)) => {
                *slot = Some(Arc::new(Machine {
                    child: Mutex::new(child),
                    qmp,
                    agent,
                }));
                Ok(())
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Connects to the sockets of a QEMU that was just started.
    fn meet(&self, child: &Child) -> Result<(Qmp, Arc<Agent>), LabError> {
        let agent: Arc<Watched<Option<Arc<Agent>>>> = Arc::default();
        let of_reader = agent.clone();
        let on_event = move |event: Option<&Event>| {
            let Some(agent) = of_reader.lock().clone() else {
                return;
            };
            match event {
                Some(event) if event.name == "RESET" => agent.reconnect(),
                Some(_) => {}
                None => agent.close(),
            }
        };
        let events = self.inner.events.clone();
        let qmp = Qmp::accept(self.name(), &self.inner.monitor, child, events, on_event)?;
        let connected = Agent::new(self.name(), self.inner.places.agent());
        *agent.lock() = Some(connected.clone());
        Ok((qmp, connected))
    }

    /// Restores a waiting node from a saved memory.
    pub(crate) fn restore(&self, memory: &Path) -> Result<(), LabError> {
        let machine = self.machine()?;
        let capability = json!([{"capability": "events", "state": true}]);
        let capabilities = json!({"capabilities": capability});
        machine.qmp.call("migrate-set-capabilities", capabilities)?;
        let uri = format!("exec:cat '{}'", memory.display());
        machine.qmp.call("migrate-incoming", json!({"uri": uri}))?;
        let event = self.wait_for_event(SOON, |event| {
            event.name == "MIGRATION"
                && matches!(event.data["status"].as_str(), Some("completed" | "failed"))
        })?;
        if event.data["status"] == "failed" {
            return Err(LabError::Gone {
                node: self.name().to_owned(),
                how: "could not be restored: see its qemu.log".to_owned(),
            });
        }
        machine.qmp.call("cont", json!({}))?;
        machine.agent.wait_for_boot(None, SOON)?;
        self.introduce()
    }

    /// Gives a restored node its identity: until then it is a copy of the golden one.
    fn introduce(&self) -> Result<(), LabError> {
        let identity = &self.inner.identity;
        let name = &identity.name;
        let mut links = String::new();
        // Down and up again, since IPv6 addresses are derived from the hardware address.
        links += "link set dev eth0 down\n";
        for card in 0..machine::CARDS {
            links += &format!("link set dev eth{card} address {}\n", identity.mac(card));
        }
        if let Some(address) = identity.address() {
            links += &format!("address add {address} dev eth0\n");
        }
        links += "link set dev eth0 up\n";
        let script = format!(
            "set -e; date -s @{:.3} >/dev/null; hostname {name}; echo {name} >/etc/hostname\n\
             echo {} >/etc/machine-id\nip -batch - <<E\n{links}E\n\
             systemctl start --no-block systemd-journald.service\n",
            time_of_day(),
            identity.machine_id,
        );
        self.check(&script).map(|_| ())
    }

    /// Waits until a system with another boot id has booted and its agent answers.
    pub fn wait_for_boot(&self, not: Option<&str>) -> Result<String, LabError> {
        self.machine()?.agent.wait_for_boot(not, BOOT)
    }

    /// The boot id of the running system: a new one after each reset.
    pub fn boot_id(&self) -> Result<String, LabError> {
        self.wait_for_boot(None)
    }

    /// Runs a script in a shell, as root, and waits for its end, for at most one minute.
    pub fn run(&self, script: &str) -> Result<Output, LabError> {
        self.run_within(SCRIPT, script)
    }

    /// Runs a script with a time limit, after which it is killed.
    pub fn run_within(&self, timeout: Duration, script: &str) -> Result<Output, LabError> {
        self.spawn(script)?.wait(timeout)
    }

    /// Runs a script that must succeed, and returns its output as text without the last newline.
    pub fn check(&self, script: &str) -> Result<String, LabError> {
        self.check_within(SCRIPT, script)
    }

    /// Runs a script that must succeed within this time.
    pub fn check_within(&self, timeout: Duration, script: &str) -> Result<String, LabError> {
        let output = self.run_within(timeout, script)?;
        if output.success() {
            return Ok(output.text());
        }
        let text = format!("{} {}", output.text(), output.error_text());
        let from = text.len().saturating_sub(2000);
        let from = text.ceil_char_boundary(from);
        Err(LabError::Script {
            node: self.name().to_owned(),
            script: beginning(script),
            code: output.code,
            text: text[from..].trim().to_owned(),
        })
    }

    /// Polls a condition in the node until it holds.
    pub fn wait_until(&self, timeout: Duration, condition: &str) -> Result<(), LabError> {
        let script = format!("until {condition}; do sleep 0.1; done");
        match self.run_within(timeout, &script)? {
            output if output.success() => Ok(()),
            output => Err(LabError::Script {
                node: self.name().to_owned(),
                script: beginning(condition),
                code: output.code,
                text: output.error_text(),
            }),
        }
    }

    /// Starts a script without waiting for it.
    pub fn spawn(&self, script: &str) -> Result<Job, LabError> {
        self.machine()?.agent.start(script, false)
    }

    /// Starts a script with standard input.
    pub fn spawn_with_input(&self, script: &str) -> Result<Job, LabError> {
        self.machine()?.agent.start(script, true)
    }

    /// Writes a file in the node, atomically. For large ones use `deliver`.
    pub fn put(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), LabError> {
        let script = format!(
            "set -e; cat >'{path}.new'; chmod {mode:o} '{path}.new'; mv '{path}.new' '{path}'"
        );
        let job = self.spawn_with_input(&script)?;
        job.input(bytes)?;
        job.end_input()?;
        let output = job.wait(SCRIPT)?;
        match output.success() {
            true => Ok(()),
            false => Err(LabError::Script {
                node: self.name().to_owned(),
                script: format!("put {path}"),
                code: output.code,
                text: output.error_text(),
            }),
        }
    }

    /// Reads a file of the node.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, LabError> {
        let output = self.run(&format!("cat '{path}'"))?;
        match output.success() {
            true => Ok(output.stdout),
            false => Err(LabError::Script {
                node: self.name().to_owned(),
                script: format!("get {path}"),
                code: output.code,
                text: output.error_text(),
            }),
        }
    }

    /// All output of the serial port so far, over all boots of this node.
    pub fn console(&self) -> Result<String, LabError> {
        let path = self.inner.places.console_log();
        let bytes = fs::read(&path).map_err(LabError::file("read", &path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The socket of the serial port; it takes one client at a time.
    pub fn console_socket(&self) -> PathBuf {
        self.inner.places.console()
    }

    /// Everything that QEMU has reported about this node.
    pub fn events(&self) -> Vec<Event> {
        self.inner.events.lock().clone()
    }

    /// Waits for an event, including earlier ones.
    pub fn wait_for_event(
        &self,
        timeout: Duration,
        look: impl Fn(&Event) -> bool,
    ) -> Result<Event, LabError> {
        let found = self.inner.events.wait(timeout, |events| {
            events.iter().find(|event| look(event)).cloned()
        });
        found.ok_or_else(|| LabError::Timeout {
            what: format!("an event of {}", self.name()),
            after: timeout,
        })
    }

    /// Waits for an event of this name after that moment.
    pub fn wait_for_event_after(
        &self,
        moment: Moment,
        name: &str,
        timeout: Duration,
    ) -> Result<Event, LabError> {
        self.wait_for_event(timeout, |event| event.name == name && event.at > moment)
    }

    /// Attaches a disk, and returns the path of its device once that exists. It stays attached over
    /// resets and deaths of the node.
    pub fn attach(&self, disk: &Disk) -> Result<String, LabError> {
        let drive = self.drive(disk)?;
        let blockdev: Value = serde_json::from_str(&drive.blockdev).expect("we wrote it");
        self.plug_in(blockdev, disk.name())?;
        self.disks().push(disk.clone());
        let device = disk.device();
        self.wait_until(SOON, &format!("[ -b '{device}' ]"))?;
        Ok(device)
    }

    fn drive(&self, disk: &Disk) -> Result<Drive, LabError> {
        let path = disk.socket(self.number())?;
        let server = json!({"type": "unix", "path": path});
        let blockdev = json!({"driver": "nbd", "node-name": disk.name(), "server": server});
        Ok(Drive {
            serial: disk.name().to_owned(),
            blockdev: blockdev.to_string(),
        })
    }

    fn plug_in(&self, blockdev: Value, name: &str) -> Result<(), LabError> {
        let qmp = &self.machine()?.qmp;
        qmp.call("blockdev-add", blockdev)?;
        let mut device =
            json!({"driver": "virtio-blk-pci", "drive": name, "id": name, "serial": name});
        let number = next(&self.inner.plugged);
        if let Some(bus) = self.hardware().board.plug(number) {
            device["bus"] = bus.into();
        }
        qmp.call("device_add", device).map(|_| ())
    }

    /// Detaches a disk, which must not be in use in the node.
    pub fn detach(&self, disk: &Disk) -> Result<(), LabError> {
        self.pull_out(disk.name())?;
        self.disks().retain(|known| known.name() != disk.name());
        Ok(())
    }

    fn pull_out(&self, name: &str) -> Result<(), LabError> {
        let qmp = &self.machine()?.qmp;
        let asked = Moment::now();
        qmp.call("device_del", json!({"id": name}))?;
        self.wait_for_event(SOON, |event| {
            event.at > asked && event.name == "DEVICE_DELETED" && event.data["device"] == name
        })?;
        qmp.call("blockdev-del", json!({"node-name": name}))
            .map(|_| ())
    }

    /// Copies files and folders of this host into a folder of the node, by a disk that is attached
    /// for it: fast for large ones.
    pub fn deliver(&self, files: &[&Path], folder: &str) -> Result<(), LabError> {
        let number = next(&self.inner.delivered);
        let name = format!("delivery{number}");
        let tar = self.inner.places.0.join(format!("{name}.tar"));
        pack(files, &tar)?;
        let blockdev = json!({
            "driver": "file", "node-name": name, "filename": tar, "read-only": true,
        });
        self.plug_in(blockdev, &name)?;
        let device = format!("/dev/disk/by-id/virtio-{name}");
        self.wait_until(SOON, &format!("[ -b '{device}' ]"))?;
        self.check(&format!(
            "mkdir -p '{folder}' && tar -xf '{device}' -C '{folder}'"
        ))?;
        self.pull_out(&name)?;
        fs::remove_file(&tar).map_err(LabError::file("remove", &tar))
    }
}

/// The next number; none is used twice.
fn next(last: &Mutex<u32>) -> u32 {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    *last += 1;
    *last
}

/// Makes a tar archive of the files, without the paths of their folders.
fn pack(files: &[&Path], tar: &Path) -> Result<(), LabError> {
    let mut command = crate::process::command("tar");
    command.arg("-cf").arg(tar);
    for file in files {
        let folder = file.parent().unwrap_or(Path::new("."));
        command
            .arg("-C")
            .arg(fs::canonicalize(folder).map_err(LabError::file("find", folder))?);
        command.arg(file.file_name().unwrap_or_default());
    }
    let output = command.output().map_err(LabError::file("pack", tar))?;
    if output.status.success() {
        // A drive has whole sectors, and tar's records are multiples of those.
        return File::open(tar)
            .map(|_| ())
            .map_err(LabError::file("read", tar));
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Io {
        doing: format!("pack {}", tar.display()),
        source: std::io::Error::other(text),
    })
}
