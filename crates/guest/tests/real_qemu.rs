//! The installed QEMU accepts every command line.
#![allow(clippy::unwrap_used, reason = "a test fails where it is surprised")]

mod cases;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use testkit::left_out::missing;

use cases::{
    CASES, Case, Process, command_line, config, installed_qemu, make_images, taps, volumes,
};
use guest::qemu::qmp::VncPassword;
use guest::qemu::{Backend, Device, QemuInfo, RuntimePaths, block, netdev};
use model::qemu::{Aio, DriveSlot};
use serde_json::{Map, Value, json};

/// QEMU takes longer than this only when it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Only root may make taps.
fn may_make_taps() -> bool {
    Path::new("/dev/net/tun").exists()
        && std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

async fn start(case: &Case, qemu: &QemuInfo, directory: &Path) -> Result<(), String> {
    let config = config(case.options);
    let place = directory.display().to_string();
    let volumes = volumes(&config, &place);
    make_images(&config, &volumes, directory);
    let taps = taps(&config, &format!("ot{}", std::process::id()));
    let (running, line) = command_line(&config, qemu, &volumes, &taps, &place);
    let log = directory.join("log");
    let image = directory.join("fd.raw");
    let descriptor = image.exists().then_some(image.as_path());
    let mut process = Process::start(&line, descriptor, &log);
    let paths = RuntimePaths::new(place);
    let told = |error: String| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        format!("{}: {error}\n{log}", case.name)
    };
    let qmp = process.qmp(&paths.control()).await.map_err(told)?;
    let status = qmp
        .status()
        .await
        .map_err(|error| told(error.to_string()))?;
    assert_eq!(status.state, "prelaunch", "{}", case.name);
    assert_eq!(qmp.version().await.unwrap(), qemu.version);
    let machines = qmp.execute("query-machines", Value::Null).await.unwrap();
    assert!(
        machines
            .to_string()
            .contains(&format!("\"{}\"", running.machine))
    );
    qmp.quit().await.map_err(|error| told(error.to_string()))?;
    Ok(())
}

#[tokio::test]
async fn every_command_line_starts() {
    let Some(qemu) = installed_qemu() else { return };
    for case in CASES {
        if case.options.contains("bridge=") && !may_make_taps() {
            missing(case.name, "it needs taps, which only root may make");
            continue;
        }
        // What has its own tests, with what is behind it.
        if case.is_of_host() {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let started = tokio::time::timeout(LIMIT, start(case, &qemu, directory.path())).await;
        started
            .expect(case.name)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

/// All operations on a running guest, on a real one.
#[tokio::test]
async fn commands_work_on_a_running_guest() {
    let Some(qemu) = installed_qemu() else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display().to_string();
    let base = "memory: 64\nscsihw: virtio-scsi-single\nscsi0: local:1/a.qcow2,mbps=5\n\
                ide2: none,media=cdrom\nnet0: virtio=BC:24:11:00:00:01";
    let config = config(base);
    let volumes = volumes(&config, &place);
    make_images(&config, &volumes, directory.path());
    let (running, line) = command_line(&config, &qemu, &volumes, &Default::default(), &place);
    let mut process = Process::start(&line, None, &directory.path().join("log"));
    let paths = RuntimePaths::new(place.as_str());
    let qmp = process.qmp(&paths.control()).await.unwrap();
    let mut events = qmp.events();

    qmp.cont().await.unwrap();
    events.next_named("RESUME").await.unwrap();
    assert!(qmp.status().await.unwrap().running);
    qmp.set_vnc_password(VncPassword {
        password: "secret12",
        valid_seconds: 30,
    })
    .await
    .unwrap();
    assert!(
        qmp.human_monitor("info version")
            .await
            .unwrap()
            .starts_with(&qemu.version.to_string())
    );
    assert_eq!(qmp.processor_threads().await.unwrap().len(), 1);
    assert_eq!(qmp.balloon().await.unwrap(), Some(64 << 20));
    qmp.send_keys(&["ctrl", "alt", "delete"]).await.unwrap();
    qmp.set_link("net0", false).await.unwrap();
    qmp.disk_usage().await.unwrap();

    let scsi0: DriveSlot = "scsi0".parse().unwrap();
    let none = block::limits(&Default::default());
    qmp.set_throttle(&block::throttle_group(scsi0), none)
        .await
        .unwrap();
    qmp.resize_block(&block::node_name(scsi0), 16 << 20)
        .await
        .unwrap();
    let nodes = qmp
        .execute("query-named-block-nodes", json!({"flat": true}))
        .await
        .unwrap();
    let rows = nodes.as_array().unwrap();
    let top = rows
        .iter()
        .find(|row| row["node-name"] == "drive-scsi0")
        .unwrap();
    assert_eq!(top["image"]["virtual-size"], 16 << 20);

    plug_disk(&qmp, &qemu, base, &running, directory.path()).await;
    plug_net(&qmp, &qemu, base, &running).await;
    change_medium(&qmp, directory.path()).await;
    qmp.pause().await.unwrap();
    qmp.quit().await.unwrap();
    process.0.wait().unwrap();
}

fn planned(base: &str, more: &str, qemu: &QemuInfo) -> guest::qemu::RunningAs {
    let config = config(&format!("{base}\n{more}"));
    guest::qemu::plan(&config, qemu, guest::qemu::Accel::Tcg).unwrap()
}

async fn add(qmp: &guest::qemu::Qmp, device: &Device, key: &str, value: String) {
    let joined = match device.backend {
        Backend::None => Map::new(),
        _ => Map::from_iter([(key.to_owned(), Value::from(value))]),
    };
    qmp.add_device(Value::Object(device.arguments(joined)))
        .await
        .unwrap();
}

async fn plug_disk(
    qmp: &guest::qemu::Qmp,
    qemu: &QemuInfo,
    base: &str,
    running: &guest::qemu::RunningAs,
    directory: &Path,
) {
    let more = "scsi3: local:1/b.raw,iops=50";
    let slot: DriveSlot = "scsi3".parse().unwrap();
    let config = config(&format!("{base}\n{more}"));
    let volumes = volumes(&config, &directory.display().to_string());
    let spec = &volumes[&slot];
    make_images(
        &config,
        &[(slot, spec.clone())].into_iter().collect(),
        directory,
    );
    let options = block::HostOptions::new(&config.drives[&slot], spec, Aio::Threads);
    let throttle = options.throttle.unwrap();
    qmp.add_object(block::throttle_object(slot, &throttle))
        .await
        .unwrap();
    for node in block::nodes(slot, spec, &options) {
        qmp.add_block_node(node).await.unwrap();
    }
    let devices = running
        .plug(&planned(base, more, qemu), &Backend::Drive(slot))
        .unwrap();
    for device in &devices {
        add(qmp, device, "drive", block::node_name(slot)).await;
    }
    // A SCSI disk is removed at once; a PCI device only when the guest releases it.
    let mut events = qmp.events();
    qmp.remove_device("scsi3").await.unwrap();
    let gone = events.next_named("DEVICE_DELETED").await.unwrap();
    assert_eq!(gone.data["device"], "scsi3");
    for node in ["drive-scsi3", "fmt-scsi3", "file-scsi3"] {
        qmp.remove_block_node(node).await.unwrap();
    }
    qmp.remove_object(&block::throttle_group(slot))
        .await
        .unwrap();
}

async fn plug_net(
    qmp: &guest::qemu::Qmp,
    qemu: &QemuInfo,
    base: &str,
    running: &guest::qemu::RunningAs,
) {
    qmp.add_netdev(netdev::user_netdev(1)).await.unwrap();
    let planned = planned(base, "net1: e1000=BC:24:11:00:00:09", qemu);
    for device in running.plug(&planned, &Backend::Net(1)).unwrap() {
        add(qmp, &device, "netdev", netdev::netdev_id(1)).await;
    }
}

async fn change_medium(qmp: &guest::qemu::Qmp, directory: &Path) {
    let slot: DriveSlot = "ide2".parse().unwrap();
    let config = config("ide2: local:iso/c.raw,media=cdrom");
    let volumes = volumes(&config, &directory.display().to_string());
    make_images(&config, &volumes, directory);
    let options = block::HostOptions::new(&config.drives[&slot], &volumes[&slot], Aio::Threads);
    for node in block::nodes(slot, &volumes[&slot], &options) {
        qmp.add_block_node(node).await.unwrap();
    }
    qmp.remove_medium("ide2").await.unwrap();
    qmp.insert_medium("ide2", &block::node_name(slot))
        .await
        .unwrap();
    qmp.remove_medium("ide2").await.unwrap();
    for node in ["drive-ide2", "file-ide2"] {
        qmp.remove_block_node(node).await.unwrap();
    }
}
