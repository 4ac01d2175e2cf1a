//! The keys of a drive on each bus.

use crate::schema::{Field, Format, format};

use super::format::{VOLUME_OR_ABSOLUTE_PATH, VOLUME_OR_PATH};

const IMAGE_FORMATS: &[&str] = &["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"];
const UNBUILT_FORMATS: &[&str] = &["qcow", "qed", "cloop"];

const fn bytes(name: &'static str) -> Field {
    Field::integer(name).optional()
}

const fn megabytes(name: &'static str) -> Field {
    Field::number(name).optional()
}

const fn seconds(name: &'static str) -> Field {
    Field::integer(name).optional().min(1.0)
}

/// The keys that drives of all buses have.
const COMMON: [Field; 42] = [
    Field::string("file").format(VOLUME_OR_PATH).default_key(),
    Field::alias("volume", "file"),
    Field::string("aio")
        .optional()
        .one_of(&["native", "threads", "io_uring"]),
    Field::boolean("backup").optional(),
    bytes("bps"),
    seconds("bps_max_length"),
    bytes("bps_rd"),
    Field::alias("bps_rd_length", "bps_rd_max_length"),
    seconds("bps_rd_max_length"),
    bytes("bps_wr"),
    Field::alias("bps_wr_length", "bps_wr_max_length"),
    seconds("bps_wr_max_length"),
    Field::string("cache").optional().one_of(&[
        "none",
        "writethrough",
        "writeback",
        "unsafe",
        "directsync",
    ]),
    Field::boolean("detect_zeroes").optional(),
    Field::string("discard")
        .optional()
        .one_of(&["ignore", "on"]),
    Field::string("format")
        .optional()
        .one_of(IMAGE_FORMATS)
        .unbuilt_values(UNBUILT_FORMATS),
    Field::string("import-from")
        .optional()
        .format(VOLUME_OR_ABSOLUTE_PATH),
    bytes("iops"),
    bytes("iops_max"),
    seconds("iops_max_length"),
    bytes("iops_rd"),
    Field::alias("iops_rd_length", "iops_rd_max_length"),
    bytes("iops_rd_max"),
    seconds("iops_rd_max_length"),
    bytes("iops_wr"),
    Field::alias("iops_wr_length", "iops_wr_max_length"),
    bytes("iops_wr_max"),
    seconds("iops_wr_max_length"),
    megabytes("mbps"),
    megabytes("mbps_max"),
    megabytes("mbps_rd"),
    megabytes("mbps_rd_max"),
    megabytes("mbps_wr"),
    megabytes("mbps_wr_max"),
    Field::string("media")
        .optional()
        .one_of(&["cdrom", "disk"])
        .default("disk"),
    Field::boolean("replicate").optional().default("1"),
    Field::string("rerror")
        .optional()
        .one_of(&["ignore", "report", "stop"]),
    Field::string("serial")
        .optional()
        .max_length(60)
        .format(format::URL_ENCODED),
    Field::boolean("shared").optional().default("0"),
    Field::string("size").optional().format(format::DISK_SIZE),
    Field::boolean("snapshot").optional().unbuilt(),
    Field::string("werror")
        .optional()
        .one_of(&["enospc", "ignore", "report", "stop"]),
];

const SSD: Field = Field::boolean("ssd").optional();
const WWN: Field = Field::string("wwn")
    .optional()
    .pattern(r"(?:^(0x)[0-9a-fA-F]{16})");
const IOTHREAD: Field = Field::boolean("iothread").optional();
const READ_ONLY: Field = Field::boolean("ro").optional();

/// The common keys and then `more`; `N` is how many that makes.
const fn with<const N: usize>(more: &[Field]) -> [Field; N] {
    assert!(N == COMMON.len() + more.len());
    let mut all = [SSD; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < COMMON.len() {
            COMMON[at]
        } else {
            more[at - COMMON.len()]
        };
        at += 1;
    }
    all
}

pub const IDE: &[Field] = &with::<45>(&[
    SSD,
    WWN,
    Field::string("model")
        .optional()
        .max_length(120)
        .format(format::URL_ENCODED),
]);

pub const SATA: &[Field] = &with::<44>(&[SSD, WWN]);

pub const VIRTIO: &[Field] = &with::<44>(&[IOTHREAD, READ_ONLY]);

pub const SCSI: &[Field] = &with::<50>(&[
    SSD,
    WWN,
    IOTHREAD,
    READ_ONLY,
    Field::string("product")
        .optional()
        .pattern(r"[A-Za-z0-9\-_\s]{0,16}"),
    Field::integer("queues").optional().min(2.0),
    Field::boolean("scsiblock")
        .optional()
        .default("0")
        .unbuilt(),
    Field::string("vendor")
        .optional()
        .pattern(r"[A-Za-z0-9\-_\s]{0,8}"),
]);

pub(super) const EFI: &[Field] = &[
    Field::string("file").format(VOLUME_OR_PATH).default_key(),
    Field::alias("volume", "file"),
    Field::string("efitype")
        .optional()
        .one_of(&["2m", "4m"])
        .default("2m"),
    Field::string("format")
        .optional()
        .one_of(IMAGE_FORMATS)
        .unbuilt_values(UNBUILT_FORMATS),
    Field::string("import-from")
        .optional()
        .format(VOLUME_OR_ABSOLUTE_PATH),
    Field::string("ms-cert")
        .optional()
        .one_of(&["2011", "2023", "2023w", "2023k"])
        .default("2011"),
    Field::boolean("pre-enrolled-keys").optional().default("0"),
    Field::string("size").optional().format(format::DISK_SIZE),
];

pub(super) const TPM: &[Field] = &[
    Field::string("file").format(VOLUME_OR_PATH).default_key(),
    Field::alias("volume", "file"),
    Field::string("format")
        .optional()
        .one_of(&["raw", "qcow2", "vmdk"])
        .unbuilt_values(&["qcow2", "vmdk"]),
    Field::string("import-from")
        .optional()
        .format(VOLUME_OR_ABSOLUTE_PATH)
        .unbuilt(),
    Field::string("size").optional().format(format::DISK_SIZE),
    Field::string("version")
        .optional()
        .one_of(&["v1.2", "v2.0"])
        .default("v1.2"),
];

pub(super) const UNUSED: &[Field] = &[
    Field::string("file")
        .format(format::VOLUME_ID)
        .default_key(),
    Field::alias("volume", "file"),
];

/// The property string of a drive.
pub(super) const fn drive(name: &'static str, fields: &'static [Field], count: u32) -> Field {
    Field::string(name)
        .optional()
        .format(Format::Properties { name, fields })
        .indexed(count)
}
