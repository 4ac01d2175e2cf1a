//! A real guest, booted by our own command line: it reports that it is ready, computes on its
//! serial port, answers through its agent and reacts to the power button.
#![allow(
    clippy::disallowed_methods,
    reason = "a test's own children, each waited for"
)]

mod cases;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use testkit::left_out::missing;

use cases::{Process, command_line, config, installed_qemu};
use guest::qemu::{QemuInfo, RuntimePaths, Volumes};
use model::qemu::DriveSlot;
use model::{BlockFormat, BlockSource, BlockSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A busy host takes ten times as long as an idle one; beyond this it hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// The image; none, with a printed reason, if there is none.
fn tiny_image(directory: &Path) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/tiny/build.sh");
    match Command::new(&script).arg(directory).output() {
        Ok(output) if output.status.success() => Some(directory.join("tiny.qcow2")),
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr);
            missing("the tiny guest", reason.trim());
            None
        }
        Err(error) => {
            missing(
                "the tiny guest",
                format!("{} does not run: {error}", script.display()),
            );
            None
        }
    }
}

/// Reads a console until it shows this text.
async fn wait_for(console: &mut UnixStream, seen: &mut String, text: &str) {
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        let count = console.read(&mut buffer).await.expect("a console");
        assert!(count > 0, "the console ended before '{text}':\n{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

/// Sends a command to the agent, whose answer is one line.
async fn ask_agent(agent: &mut UnixStream, question: &str) -> String {
    agent
        .write_all(question.as_bytes())
        .await
        .expect("an agent");
    agent.write_all(b"\n").await.expect("an agent");
    let mut answer = Vec::new();
    while answer.last() != Some(&b'\n') {
        answer.push(agent.read_u8().await.expect("an agent"));
    }
    String::from_utf8(answer).expect("text")
}

/// A layer of its own over the image. Its header is ignored: the specification names both.
fn overlay(image: &Path, directory: &Path) -> BlockSpec {
    let overlay = directory.join("overlay.qcow2");
    let backing = std::fs::canonicalize(image).expect("an image");
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .args([&backing, &overlay])
        .status()
        .expect("qemu-img");
    assert!(made.success());
    let spec = |path: &Path, backing: Option<BlockSpec>| {
        let source = BlockSource::File(path.display().to_string());
        BlockSpec {
            read_only: backing.is_none(),
            can_discard: backing.is_some(),
            backing: backing.map(Box::new),
            ..BlockSpec::new(source, BlockFormat::Qcow2)
        }
    };
    spec(&overlay, Some(spec(&backing, None)))
}

async fn boot(qemu: &QemuInfo, options: &str, image: &Path, directory: &Path) {
    let place = directory.display().to_string();
    let config = config(options);
    let mut volumes: Volumes = cases::volumes(&config, &place);
    let disk: DriveSlot = *config.drives.keys().next().expect("a disk");
    let spec = overlay(image, directory);
    volumes.remove(&disk);
    cases::make_images(&config, &volumes, directory);
    volumes.insert(disk, spec);

    let (_, line) = command_line(&config, qemu, &volumes, &Default::default(), &place);
    let log = directory.join("log");
    let mut process = Process::start(&line, None, &log);
    let paths = RuntimePaths::new(place);
    let qmp = process.qmp(&paths.control()).await.unwrap_or_else(|error| {
        panic!(
            "{error}\n{}",
            std::fs::read_to_string(&log).unwrap_or_default()
        )
    });
    let mut events = qmp.events();
    let mut console = process.connect(&paths.serial(0)).await.expect("a console");
    let mut agent = process
        .connect(&paths.agent())
        .await
        .expect("an agent's socket");
    qmp.cont().await.expect("a running guest");

    let mut seen = String::new();
    wait_for(&mut console, &mut seen, "tiny: ready").await;
    wait_for(&mut console, &mut seen, "tiny# ").await;
    console
        .write_all(b"echo $((6*7))\n")
        .await
        .expect("a console");
    wait_for(&mut console, &mut seen, "\n42").await;
    console
        .write_all(b"echo nics-$(ls -d /sys/class/net/e* | wc -l)-\n")
        .await
        .expect("a console");
    wait_for(&mut console, &mut seen, "nics-1-").await;
    let answer = ask_agent(
        &mut agent,
        r#"{"execute":"guest-sync","arguments":{"id":7}}"#,
    )
    .await;
    assert_eq!(answer.trim(), r#"{"return": 7}"#);
    assert!(qmp.disk_usage().await.expect("figures").read > 1 << 20);

    qmp.press_power_button().await.expect("a power button");
    let shutdown = events.next_named("SHUTDOWN").await.expect("an end");
    assert_eq!(shutdown.data["guest"], true);
    assert!(process.0.wait().expect("an end").success());
}

async fn boots(options: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(qemu) = installed_qemu() else { return };
    let Some(image) = tiny_image(directory.path()) else {
        return;
    };
    tokio::time::timeout(LIMIT, boot(&qemu, options, &image, directory.path()))
        .await
        .expect(options);
}

#[tokio::test]
async fn a_guest_boots_computes_and_shuts_down() {
    boots(
        "name: tiny\nmemory: 160\nvirtio0: local:1/tiny.qcow2\nboot: order=virtio0\nserial0: socket\n\
         agent: 1\nrng0: source=/dev/urandom\nnet0: virtio=BC:24:11:00:00:01",
    )
    .await;
}

/// The other machine, the other firmware and the other disk controller, behind root ports.
#[tokio::test]
async fn a_guest_boots_on_q35_by_uefi_from_scsi() {
    boots(
        "memory: 256\nmachine: q35\nbios: ovmf\nefidisk0: local:1/efi.raw,efitype=4m\n\
         scsihw: virtio-scsi-single\nscsi0: local:1/tiny.qcow2,iothread=1,discard=on\n\
         boot: order=scsi0\nserial0: socket\nagent: 1\nnet0: virtio=BC:24:11:00:00:01\nvga: serial0",
    )
    .await;
}
