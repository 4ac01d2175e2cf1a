//! The block nodes behind a drive, as `-blockdev` and `blockdev-add` take them.
//!
//! ```text
//!   device ──► drive-scsi0   throttle, limits in the object throttle-scsi0
//!                  │
//!              fmt-scsi0     raw or qcow2
//!                  │
//!              file-scsi0    the file, block device or passed descriptor
//! ```
//!
//! The images below it, of snapshots and of linked clones, are `fmt-scsi0-1`, `fmt-scsi0-2`, … with
//! their files. A layer that is put above it while the guest runs is `fmt-scsi0.s1`, the next one
//! `fmt-scsi0.s2`.
//!
//! The throttle is there without limits too, so that limits can be set while the guest runs. A
//! CD-ROM has none; its `drive-…` is the format.

use model::qemu::{Aio, Drive, DriveSlot, Limit, Throttle};
use model::{BlockFormat, BlockSource, BlockSpec};
use serde_json::{Map, Value, json};

/// The name of the node that a device uses.
pub fn node_name(slot: DriveSlot) -> String {
    format!("drive-{slot}")
}

/// The id of the object with a drive's limits.
pub fn throttle_group(slot: DriveSlot) -> String {
    format!("throttle-{slot}")
}

/// Options for opening a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOptions {
    pub direct: bool,
    pub no_flush: bool,
    pub discard: bool,
    pub detect_zeroes: bool,
    pub aio: Aio,
    pub read_only: bool,
    /// `None` for a drive without a throttle node.
    pub throttle: Option<Throttle>,
}

impl HostOptions {
    /// `default_aio` is the best method of this host.
    pub fn new(drive: &Drive, spec: &BlockSpec, default_aio: Aio) -> Self {
        let cdrom = drive.is_cdrom();
        let cache = drive.cache();
        // A read-only medium gains nothing from bypassing the host's page cache.
        let direct = drive.is_direct(spec);
        let aio = match drive.aio().unwrap_or(default_aio) {
            // QEMU refuses native AIO with the page cache.
            Aio::Native if !direct => Aio::Threads,
            aio => aio,
        };
        Self {
            direct,
            no_flush: cache.ignores_flush(),
            discard: drive.discards() && spec.can_discard && !cdrom,
            detect_zeroes: drive.detects_zeroes() && !cdrom,
            aio,
            read_only: cdrom || drive.is_read_only() || spec.read_only,
            throttle: (!cdrom).then(|| drive.throttle()),
        }
    }

    /// For the target of a job: through the page cache, with holes kept where it can have any.
    pub fn for_copy(spec: &BlockSpec) -> Self {
        Self {
            direct: false,
            no_flush: false,
            discard: spec.can_discard,
            detect_zeroes: false,
            aio: Aio::Threads,
            read_only: false,
            throttle: None,
        }
    }

    /// For the volume with a guest's UEFI variables. It is small, and lost with the host. It has a
    /// throttle node without limits, so that it can be moved like other volumes.
    pub fn for_efi(spec: &BlockSpec) -> Self {
        Self {
            direct: false,
            no_flush: false,
            discard: false,
            detect_zeroes: false,
            aio: Aio::Threads,
            read_only: spec.read_only,
            throttle: Some(Throttle::default()),
        }
    }
}

/// The nodes of a drive, lowest first; each must exist before the one above it.
pub fn nodes(slot: DriveSlot, spec: &BlockSpec, options: &HostOptions) -> Vec<Value> {
    let name = node_name(slot);
    let file = format!("file-{slot}");
    let top = options.throttle.map(|_| format!("fmt-{slot}"));
    let mut nodes = backing_nodes(slot, spec, options);
    nodes.push(file_node(&file, spec, options));
    let mut format = common(
        format_driver(spec.format),
        top.as_ref().unwrap_or(&name),
        options,
    );
    format.insert("file".to_owned(), file.into());
    if let Some(length) = spec.length.filter(|_| spec.format == BlockFormat::Raw) {
        format.insert("size".to_owned(), length.into());
    }
    if spec.format != BlockFormat::Raw {
        // Never from the header, whose writer may have named any file.
        let below = spec.backing.as_ref().map(|_| backing_name(slot, 1));
        format.insert("backing".to_owned(), below.into());
    }
    add_zero_detection(&mut format, options);
    nodes.push(Value::Object(format));
    if let Some(below) = top {
        let mut throttle = common("throttle", &name, options);
        throttle.insert("throttle-group".to_owned(), throttle_group(slot).into());
        throttle.insert("file".to_owned(), below.into());
        nodes.push(Value::Object(throttle));
    }
    nodes
}

/// The two nodes of an image that only a job writes to.
pub fn copy_nodes(name: &str, file: &str, spec: &BlockSpec, options: &HostOptions) -> Vec<Value> {
    let mut format = common(format_driver(spec.format), name, options);
    format.insert("file".to_owned(), file.into());
    if let Some(length) = spec.length.filter(|_| spec.format == BlockFormat::Raw) {
        format.insert("size".to_owned(), length.into());
    }
    if spec.format != BlockFormat::Raw {
        format.insert("backing".to_owned(), Value::Null);
    }
    add_zero_detection(&mut format, options);
    vec![file_node(file, spec, options), Value::Object(format)]
}

/// The nodes that replace a drive's image below the throttle: its file and its format, whose name
/// is returned. Of the two possible pairs of names, the free one.
pub fn replacement(
    slot: DriveSlot,
    existing: &[String],
    spec: &BlockSpec,
    options: &HostOptions,
) -> (String, Vec<Value>) {
    let is_taken = existing.contains(&format!("fmt-{slot}"));
    let suffix = if is_taken { MOVED } else { "" };
    let (name, file) = (
        format!("fmt-{slot}{suffix}"),
        format!("file-{slot}{suffix}"),
    );
    let nodes = copy_nodes(&name, &file, spec, options);
    (name, nodes)
}

/// The nodes of a new layer above a drive's image: its file and its format, whose name is returned.
/// QEMU itself puts the image below it.
pub fn overlay(
    slot: DriveSlot,
    existing: &[String],
    spec: &BlockSpec,
    options: &HostOptions,
) -> (String, Vec<Value>) {
    let last = overlays(slot, existing).first().copied().unwrap_or(0);
    let suffix = format!("{OVERLAY}{}", last + 1);
    let (name, file) = (
        format!("fmt-{slot}{suffix}"),
        format!("file-{slot}{suffix}"),
    );
    let nodes = copy_nodes(&name, &file, spec, options);
    (name, nodes)
}

/// The numbers of the layers that were put above a drive's image, the last first.
fn overlays(slot: DriveSlot, existing: &[String]) -> Vec<u32> {
    let names = [
        format!("fmt-{slot}{OVERLAY}"),
        format!("file-{slot}{OVERLAY}"),
    ];
    let number = |name: &String| {
        let rest = names.iter().find_map(|begin| name.strip_prefix(begin))?;
        rest.parse().ok()
    };
    let mut numbers: Vec<u32> = existing.iter().filter_map(number).collect();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers.dedup();
    numbers
}

/// The node of the file that is below the node of a format.
pub fn file_of(format: &str) -> String {
    match format.strip_prefix("fmt-") {
        Some(rest) => format!("file-{rest}"),
        None => format.to_owned(),
    }
}

/// The set of descriptors that a node's file is one of.
pub fn descriptor_set(filename: &str) -> Option<u64> {
    filename.strip_prefix("/dev/fdset/")?.parse().ok()
}

/// The suffix of the names of new layers, before their number.
const OVERLAY: &str = ".s";

/// The suffix of the names of replacement nodes.
const MOVED: &str = ".b";

/// Those of the existing nodes that are a drive's image, without the one that the device uses: each
/// comes before those that it uses.
pub fn image_nodes(slot: DriveSlot, existing: &[String]) -> Vec<String> {
    let own = ["", MOVED].map(|suffix| {
        [
            format!("fmt-{slot}{suffix}"),
            format!("file-{slot}{suffix}"),
        ]
    });
    let layers = (1..existing.len())
        .map(|depth| [backing_name(slot, depth), format!("file-{slot}-{depth}")]);
    let above = overlays(slot, existing).into_iter().map(|number| {
        [
            format!("fmt-{slot}{OVERLAY}{number}"),
            format!("file-{slot}{OVERLAY}{number}"),
        ]
    });
    let all = above.chain(own).chain(layers).flatten();
    all.filter(|name| existing.contains(name)).collect()
}

fn backing_name(slot: DriveSlot, depth: usize) -> String {
    format!("fmt-{slot}-{depth}")
}

/// The nodes of an image's backing chain, lowest first. They are read-only, but for the files of those
/// that may be merged.
fn backing_nodes(slot: DriveSlot, spec: &BlockSpec, options: &HostOptions) -> Vec<Value> {
    let drive = options;
    let options = HostOptions {
        read_only: true,
        discard: false,
        detect_zeroes: false,
        throttle: None,
        ..options.clone()
    };
    let layers: Vec<(usize, &BlockSpec)> = spec.layers().enumerate().skip(1).collect();
    let mut nodes = Vec::new();
    for (depth, layer) in layers.into_iter().rev() {
        let file = format!("file-{slot}-{depth}");
        let may_be_written = layer.mergeable && !drive.read_only;
        // The guest may write to it after a merge: as to the disk.
        let options = HostOptions {
            discard: may_be_written && drive.discard,
            detect_zeroes: may_be_written && drive.detect_zeroes,
            ..options.clone()
        };
        let of_file = HostOptions {
            read_only: !may_be_written,
            ..options.clone()
        };
        nodes.push(file_node(&file, layer, &of_file));
        let mut format = common(
            format_driver(layer.format),
            &backing_name(slot, depth),
            &options,
        );
        add_zero_detection(&mut format, &options);
        format.insert("file".to_owned(), file.into());
        if layer.format == BlockFormat::Qcow2 {
            let below = layer
                .backing
                .as_ref()
                .map(|_| backing_name(slot, depth + 1));
            format.insert("backing".to_owned(), below.into());
        }
        nodes.push(Value::Object(format));
    }
    nodes
}

/// The object that a throttle node needs, as `-object` and `object-add` take it.
pub fn throttle_object(slot: DriveSlot, throttle: &Throttle) -> Value {
    json!({
        "qom-type": "throttle-group",
        "id": throttle_group(slot),
        "limits": limits(throttle),
    })
}

/// The limits in the form of the property `limits` of a throttle group, also for `qom-set`. Every
/// limit is named, so that setting them removes old ones.
pub fn limits(throttle: &Throttle) -> Value {
    let mut limits = Map::new();
    let all = [
        ("bps-total", throttle.bytes),
        ("bps-read", throttle.bytes_read),
        ("bps-write", throttle.bytes_written),
        ("iops-total", throttle.operations),
        ("iops-read", throttle.reads),
        ("iops-write", throttle.writes),
    ];
    for (
        name,
        Limit {
            rate,
            burst,
            burst_seconds,
        },
    ) in all
    {
        limits.insert(name.to_owned(), rate.into());
        limits.insert(format!("{name}-max"), burst.into());
        limits.insert(format!("{name}-max-length"), burst_seconds.max(1).into());
    }
    Value::Object(limits)
}

fn add_zero_detection(format: &mut Map<String, Value>, options: &HostOptions) {
    if options.detect_zeroes {
        // If space can be freed, writing zeroes frees it.
        let mode = if options.discard { "unmap" } else { "on" };
        format.insert("detect-zeroes".to_owned(), mode.into());
    }
}

fn format_driver(format: BlockFormat) -> &'static str {
    format.as_str()
}

fn common(driver: &str, name: &str, options: &HostOptions) -> Map<String, Value> {
    let mut node = Map::new();
    node.insert("driver".to_owned(), driver.into());
    node.insert("node-name".to_owned(), name.into());
    node.insert("read-only".to_owned(), options.read_only.into());
    node.insert(
        "cache".to_owned(),
        json!({"direct": options.direct, "no-flush": options.no_flush}),
    );
    // A node passes discards on only with this option.
    let discard = if options.discard { "unmap" } else { "ignore" };
    node.insert("discard".to_owned(), discard.into());
    node
}

fn file_node(name: &str, spec: &BlockSpec, options: &HostOptions) -> Value {
    if let Some(remote) = spec.source.remote() {
        let mut node = common(remote.driver, name, options);
        node.extend(remote.options);
        return Value::Object(node);
    }
    let path = spec.source.path().unwrap_or_default().to_owned();
    let (driver, filename) = match &spec.source {
        BlockSource::Device(_) => ("host_device", path),
        // The set has the number of the descriptor; see `argv`.
        BlockSource::Descriptor(number) => ("file", format!("/dev/fdset/{number}")),
        BlockSource::DeviceDescriptor(number) => ("host_device", format!("/dev/fdset/{number}")),
        _ => ("file", path),
    };
    let mut node = common(driver, name, options);
    node.insert("filename".to_owned(), filename.into());
    node.insert("aio".to_owned(), options.aio.as_str().into());
    Value::Object(node)
}

#[cfg(test)]
mod tests {
    use model::RbdSource;

    use super::*;

    #[test]
    fn an_image_of_a_cluster_is_named_by_its_pool_and_has_no_secret() {
        let source = BlockSource::Rbd(RbdSource {
            pool: "vms".to_owned(),
            namespace: Some("lab".to_owned()),
            image: "vm-100-disk-0".to_owned(),
            snapshot: None,
            user: "guests".to_owned(),
            conf: "/run/ostler/guests/100.clusters/ceph.conf".to_owned(),
            size: 8 << 20,
        });
        let spec = BlockSpec::new(source, BlockFormat::Raw);
        let node = file_node("file-scsi0", &spec, &HostOptions::for_copy(&spec));
        let expected = json!({
            "driver": "rbd", "node-name": "file-scsi0", "read-only": false,
            "cache": {"direct": false, "no-flush": false}, "discard": "unmap",
            "pool": "vms", "namespace": "lab", "image": "vm-100-disk-0", "user": "guests",
            "conf": "/run/ostler/guests/100.clusters/ceph.conf",
        });
        assert_eq!(node, expected);
    }

    #[test]
    fn the_file_of_a_layer_that_may_be_merged_can_be_written_and_the_layer_cannot() {
        let slot: DriveSlot = "scsi0".parse().unwrap();
        let file = |name: &str| BlockSource::File(format!("/srv/{name}.qcow2"));
        let layer = |name: &str, mergeable: bool, backing: Option<BlockSpec>| BlockSpec {
            read_only: name != "image",
            mergeable,
            backing: backing.map(Box::new),
            ..BlockSpec::new(file(name), BlockFormat::Qcow2)
        };
        let base = layer("base", false, None);
        let image = layer("image", false, Some(layer("one", true, Some(base))));
        let is_read_only = |options: &HostOptions| -> Vec<(String, bool)> {
            let nodes = nodes(slot, &image, options);
            let said = nodes.iter().map(|node| {
                let name = node["node-name"].as_str().unwrap().to_owned();
                (name, node["read-only"].as_bool().unwrap())
            });
            said.collect()
        };
        let expected = |name: &str, read_only: bool| (name.to_owned(), read_only);
        let written = HostOptions {
            throttle: None,
            ..HostOptions::for_copy(&image)
        };
        assert_eq!(
            is_read_only(&written),
            [
                expected("file-scsi0-2", true),
                expected("fmt-scsi0-2", true),
                expected("file-scsi0-1", false),
                expected("fmt-scsi0-1", true),
                expected("file-scsi0", false),
                expected("drive-scsi0", false),
            ]
        );
        let read = HostOptions {
            read_only: true,
            ..written
        };
        assert!(is_read_only(&read).iter().all(|(_, read_only)| *read_only));
    }

    #[test]
    fn new_layers_have_names_of_their_own_and_come_before_what_they_are_on() {
        let slot: DriveSlot = "scsi1".parse().unwrap();
        let spec = BlockSpec::new(BlockSource::Descriptor(9), BlockFormat::Qcow2);
        let mut existing: Vec<String> = ["drive-scsi1", "fmt-scsi1", "file-scsi1", "fmt-scsi10.s4"]
            .map(str::to_owned)
            .to_vec();
        for number in 1..=2 {
            let (name, nodes) = overlay(slot, &existing, &spec, &HostOptions::for_copy(&spec));
            assert_eq!(name, format!("fmt-scsi1.s{number}"));
            assert_eq!(nodes[1]["backing"], Value::Null);
            let file = file_of(&name);
            assert_eq!(nodes[1]["file"], file.as_str());
            existing.extend([name, file]);
        }
        assert_eq!(
            image_nodes(slot, &existing),
            [
                "fmt-scsi1.s2",
                "file-scsi1.s2",
                "fmt-scsi1.s1",
                "file-scsi1.s1",
                "fmt-scsi1",
                "file-scsi1",
            ]
        );
        assert_eq!(descriptor_set("/dev/fdset/1001"), Some(1001));
        assert_eq!(descriptor_set("/srv/image"), None);
    }
}
