//! The golden node: it boots once and its memory is saved; all other nodes start from that.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::lab::Lab;
use crate::machine::{self, Beginning, Identity, Parts, Places};
use crate::node::{BOOT, SOON};
use crate::store::{Built, Store, fnv};
use crate::{LabError, Moment};

/// The preparation of the golden node before it is saved: load the modules that tests need, finish
/// what is running, and free unused memory, since all memory in use is saved. Each node starts a
/// journal of its own, under its own machine id.
const QUIET: &str = "set -e
systemctl is-system-running --wait >/dev/null
modprobe -a dm-thin-pool dm-snapshot loop bridge 8021q bonding veth tun vhost_net kvm_amd drbd zfs \
    nfs nfsd iscsi_tcp iscsi_target_mod target_core_file ext4 xfs overlay
udevadm settle
ip link set eth0 up
systemctl stop systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket \
    systemd-journald-audit.socket
rm -rf /run/log/journal/*
systemctl start systemd-journald.socket systemd-journald-dev-log.socket
sync
echo 3 >/proc/sys/vm/drop_caches";

/// The time limit of that preparation.
const QUIET_TIME: Duration = Duration::from_secs(180);

/// Parts that were not used for this long are removed.
const UNUSED: Duration = Duration::from_secs(14 * 24 * 3600);

/// The mode of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Builds what is missing.
    Missing,
    /// Uses Debian's newest kernel and packages, and builds all that depends on them.
    Renew,
    /// Builds nothing, and fails if something is missing.
    Cached,
}

/// Builds the parts of nodes and makes them current: `script` is `lab/build.sh`, `agent` the static
/// agent. `say` gets progress messages.
pub fn build(
    script: &Path,
    agent: &Path,
    effort: Effort,
    say: &mut dyn FnMut(&str),
) -> Result<(), LabError> {
    let store = Store::from_environment();
    let parts = run_script(script, agent, effort)?;
    let golden = golden_path(&store, &parts)?;
    if !golden.exists() {
        if effort == Effort::Cached {
            return Err(LabError::NotBuilt("no golden memory".to_owned()));
        }
        let begun = Moment::now();
        save(&store, &parts, &golden)?;
        let mib = fs::metadata(&golden).map_or(0, |found| found.len() >> 20);
        let seconds = begun.elapsed().as_secs_f64();
        say(&format!(
            "made the golden memory in {seconds:.0} s ({mib}M)"
        ));
    }
    mark_used(&golden)?;
    store.set_built(&Built {
        kernel: parts.kernel,
        initrd: parts.initrd,
        root: parts.root,
        modules: parts.modules,
        golden,
    })?;
    tidy(&store)
}

/// The last build, if nodes can start from it.
pub(crate) fn current(store: &Store) -> Result<Built, LabError> {
    let built = store.built()?;
    let expected = golden_path(store, &built.parts())?;
    if expected.file_name() == built.golden.file_name() {
        return Ok(built);
    }
    Err(LabError::NotBuilt(
        "QEMU or its command line has changed".to_owned(),
    ))
}

fn run_script(script: &Path, agent: &Path, effort: Effort) -> Result<Parts, LabError> {
    let doing = || LabError::file("run", script);
    let mut command = crate::process::command("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(script).arg(agent);
    match effort {
        Effort::Missing => {}
        Effort::Renew => drop(command.arg("--renew")),
        Effort::Cached => drop(command.arg("--cached")),
    }
    let output = command.stderr(Stdio::inherit()).output().map_err(doing())?;
    if !output.status.success() {
        return Err(doing()(std::io::Error::other("it failed")));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let part = |name: &str| {
        let prefix = format!("{name}=");
        let found = text.lines().find_map(|line| line.strip_prefix(&prefix));
        found
            .map(PathBuf::from)
            .ok_or_else(|| LabError::NoSuch(format!("part '{name}'")))
    };
    Ok(Parts {
        kernel: part("vmlinux")?,
        initrd: part("initrd")?,
        root: part("root")?,
        modules: part("modules")?,
    })
}

/// The path of the golden memory for these parts; its name depends on everything that the memory
/// depends on.
fn golden_path(store: &Store, parts: &Parts) -> Result<PathBuf, LabError> {
    let identity = Identity {
        name: "golden".to_owned(),
        number: 0,
        machine_id: String::new(),
    };
    let places = Places(PathBuf::from("/"));
    let argv = machine::argv(
        parts,
        &identity,
        &places,
        &machine::Hardware::default(),
        Beginning::Cold,
        &[],
    );
    let input = [qemu()?, argv.join("\n"), QUIET.to_owned()].join("\n");
    let name = format!("golden-{:016x}.memory", fnv(input.as_bytes()));
    Ok(store.parts()?.join(name))
}

/// Identifies the QEMU binary. Running it is the slowest step, so its size and date are used.
fn qemu() -> Result<String, LabError> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join("qemu-system-x86_64"))
        .find_map(|path| fs::metadata(&path).ok());
    let metadata = found.ok_or_else(|| LabError::NoSuch("qemu-system-x86_64".to_owned()))?;
    Ok(format!("{} {}", metadata.size(), metadata.mtime()))
}

fn save(store: &Store, parts: &Parts, golden: &Path) -> Result<(), LabError> {
    let lab = Lab::prepare(store.clone(), parts.clone(), [0])?;
    match save_node(&lab, golden) {
        Ok(()) => Ok(()),
        Err(error) => Err(lab.failed(error)),
    }
}

fn save_node(lab: &Lab, golden: &Path) -> Result<(), LabError> {
    let node = &lab.nodes()[0];
    node.launch(Beginning::Cold)?;
    let machine = node.machine()?;
    machine.agent.wait_for_boot(None, BOOT)?;
    node.check_within(QUIET_TIME, QUIET)?;
    let capability = json!([{"capability": "events", "state": true}]);
    let capabilities = json!({"capabilities": capability});
    machine.qmp.call("stop", json!({}))?;
    machine.qmp.call("migrate-set-capabilities", capabilities)?;
    machine
        .qmp
        .call("migrate-set-parameters", json!({"max-bandwidth": 0}))?;
    let new = golden.with_extension(format!("{}.new", std::process::id()));
    let saved = write_memory(lab, &new)
        .and_then(|()| fs::rename(&new, golden).map_err(LabError::file("write", golden)));
    if saved.is_err() {
        // A partial memory file is useless.
        let _ = fs::remove_file(&new);
    }
    saved
}

fn write_memory(lab: &Lab, new: &Path) -> Result<(), LabError> {
    let node = &lab.nodes()[0];
    let machine = node.machine()?;
    let uri = format!("exec:cat >'{}'", new.display());
    machine.qmp.call("migrate", json!({"uri": uri}))?;
    let event = node.wait_for_event(SOON, |event| {
        event.name == "MIGRATION"
            && matches!(event.data["status"].as_str(), Some("completed" | "failed"))
    })?;
    if event.data["status"] == "failed" {
        return Err(LabError::Gone {
            node: node.name().to_owned(),
            how: "could not be saved".to_owned(),
        });
    }
    // QEMU has closed the pipe; the file is complete when the machine has ended.
    machine.qmp.call("quit", json!({}))?;
    let mut child = machine
        .child
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    child.wait().map_err(LabError::io("end the golden node"))?;
    Ok(())
}

/// Sets the date of a part to that of the last build that used it.
#[expect(
    clippy::disallowed_methods,
    reason = "files are dated by this machine's time"
)]
fn mark_used(part: &Path) -> Result<(), LabError> {
    let file = fs::File::options().append(true).open(part);
    let marked = file.and_then(|file| file.set_modified(std::time::SystemTime::now()));
    marked.map_err(LabError::file("mark", part))
}

/// Removes parts that no build has used for long. A build marks the parts that it uses.
fn tidy(store: &Store) -> Result<(), LabError> {
    let folder = store.parts()?;
    let listed = fs::read_dir(&folder).map_err(LabError::file("list", &folder))?;
    for item in listed.flatten() {
        let age = item
            .metadata()
            .and_then(|found| found.modified())
            .ok()
            .and_then(|changed| changed.elapsed().ok());
        if age.is_some_and(|age| age > UNUSED) {
            let _ = fs::remove_file(item.path());
        }
    }
    Ok(())
}
