//! Images as a guest sees them, by `qemu-io`.

use std::process::Command;

use model::{BlockFormat, BlockSource, BlockSpec};
use serde_json::{Value, json};
use storage::{AttachMode, Attacher, Storage};

use crate::bed::{Bed, guest, vmid};

pub(crate) const MIB: u64 = 1 << 20;

/// As large as every storage makes them to the byte.
pub(crate) const SIZE: u64 = 8 * MIB;

/// Where the suite writes, within the image as it is allocated.
const AT: [u64; 2] = [0, SIZE - 4096];

/// Makes an image of guest 100 and answers its name.
pub(crate) async fn make(storage: &dyn Storage, format: BlockFormat) -> String {
    let name = storage.choose_image_name(vmid(100), format, &[]).await;
    let name = name.unwrap();
    storage.allocate(&name, format, SIZE).await.unwrap();
    name
}

/// What the suite works as.
pub(crate) fn us() -> Attacher {
    guest(100)
}

/// An image with its layers as they were attached, whatever its header calls them.
fn as_attached(spec: &BlockSpec) -> Value {
    let driver = match spec.source {
        BlockSource::Device(_) => "host_device",
        _ => "file",
    };
    let file = json!({"driver": driver, "filename": Bed::filename(spec)});
    let mut node = json!({"driver": spec.format.as_str(), "file": file});
    if spec.format != BlockFormat::Raw {
        node["backing"] = spec.backing.as_deref().map_or(Value::Null, as_attached);
    }
    node
}

fn io(spec: &BlockSpec, command: &str) -> bool {
    let mut program = Command::new("qemu-io");
    program.args(["-c", command]);
    if spec.read_only {
        program.args(["-r", "-U"]);
    }
    match spec.backing {
        None => program.args(["-f", spec.format.as_str(), &Bed::filename(spec)]),
        Some(_) => program.arg(format!("json:{}", as_attached(spec))),
    };
    let output = program.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if !complaint.is_empty() {
        println!("{command}: {complaint}");
    }
    output.status.success() && complaint.is_empty() && !printed.contains("verification failed")
}

/// Whether an attached image holds this byte everywhere where the suite writes.
pub(crate) fn holds(spec: &BlockSpec, byte: u8) -> bool {
    AT.iter()
        .all(|at| io(spec, &format!("read -P {byte} {at} 4096")))
}

pub(crate) async fn write(storage: &dyn Storage, name: &str, byte: u8) {
    let spec = storage.attach(name, AttachMode::Exclusive, &us()).await;
    let spec = spec.unwrap();
    for at in AT {
        assert!(io(&spec, &format!("write -P {byte} {at} 4096")), "{name}");
    }
    storage.detach(name, &us()).await.unwrap();
}

/// Writes 4 KiB at one place only.
pub(crate) async fn write_at(storage: &dyn Storage, name: &str, at: u64, byte: u8) {
    let spec = storage.attach(name, AttachMode::Exclusive, &us()).await;
    let command = format!("write -P {byte} {at} 4096");
    assert!(io(&spec.unwrap(), &command), "{name}");
    storage.detach(name, &us()).await.unwrap();
}

/// Whether an image holds these bytes at these places.
pub(crate) fn holds_at(spec: &BlockSpec, places: &[(u64, u8)]) -> bool {
    places
        .iter()
        .all(|(at, byte)| io(spec, &format!("read -P {byte} {at} 4096")))
}

pub(crate) async fn assert_holds(storage: &dyn Storage, name: &str, byte: u8) {
    let spec = storage.attach(name, AttachMode::ReadOnly, &us()).await;
    assert!(holds(&spec.unwrap(), byte), "{name} does not hold {byte}");
    storage.detach(name, &us()).await.unwrap();
}

/// Asserts that nothing is left of a case.
pub(crate) async fn assert_empty(storage: &dyn Storage) {
    let left = storage.list(None).await.unwrap();
    assert!(left.is_empty(), "left: {left:?}");
}
