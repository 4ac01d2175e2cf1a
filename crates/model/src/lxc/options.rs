//! All options of a container.

use super::device::{self, Device};
use super::features::FEATURES;
use super::format as own;
use super::mount::{MP, ROOTFS};
use super::net::{NET, NETS};
use crate::qemu::STARTUP;
use crate::schema::{Field, Format, format};

const fn properties(name: &'static str, fields: &'static [Field]) -> Field {
    Field::string(name)
        .optional()
        .format(Format::Properties { name, fields })
}

/// The families of distributions; `unmanaged` gets no files.
pub const OS_TYPES: &[&str] = &[
    "debian",
    "devuan",
    "ubuntu",
    "centos",
    "fedora",
    "opensuse",
    "archlinux",
    "alpine",
    "gentoo",
    "nixos",
    "unmanaged",
];

const LOCKS: &[&str] = &[
    "backup",
    "create",
    "destroyed",
    "disk",
    "fstrim",
    "migrate",
    "mounted",
    "rollback",
    "snapshot",
    "snapshot-delete",
];

/// What a text that becomes a line of LXC's configuration must not have.
const PLAIN_TEXT: &str = r"[^\x00-\x08\x0a-\x1F\x7F]+";
const ENVIRONMENT: &str = concat!(
    r"(?:\w+=[^\x00-\x08\x0a-\x1F\x7F]*)",
    r"(?:\x00\w+=[^\x00-\x08\x0a-\x1F\x7F]*)*"
);

/// The container's name and how the platform treats it.
const GENERAL: &[Field] = &[
    Field::string("description").optional().max_length(8192),
    Field::string("hookscript")
        .optional()
        .format(format::VOLUME_ID),
    Field::string("hostname")
        .optional()
        .max_length(255)
        .format(format::DNS_NAME),
    Field::string("lock").optional().one_of(LOCKS),
    Field::boolean("onboot").optional().default("0"),
    Field::boolean("protection").optional().default("0"),
    Field::string("startup").optional().format(STARTUP),
    Field::string("tags").optional().format(format::TAG_LIST),
    Field::boolean("template").optional().default("0"),
];

/// What runs inside, and how it is set up.
const SYSTEM: &[Field] = &[
    Field::string("arch")
        .optional()
        .one_of(&["amd64", "i386", "arm64", "armhf", "riscv32", "riscv64"])
        .default("amd64"),
    Field::string("cmode")
        .optional()
        .one_of(&["shell", "console", "tty"])
        .default("tty"),
    Field::boolean("console").optional().default("1"),
    Field::boolean("debug").optional().default("0"),
    Field::string("entrypoint")
        .optional()
        .pattern(PLAIN_TEXT)
        .default("/sbin/init"),
    Field::string("env").optional().pattern(ENVIRONMENT),
    properties("features", FEATURES),
    Field::string("nameserver")
        .optional()
        .format(own::NAME_SERVERS),
    Field::string("ostype").optional().one_of(OS_TYPES),
    Field::string("searchdomain")
        .optional()
        .format(Format::List {
            name: "dns-name-list",
            check: |value| match crate::text::is_dns_name(value) {
                true => Ok(()),
                false => Err("value does not look like a valid DNS name".to_owned()),
            },
        }),
    Field::string("timezone").optional().format(own::TIME_ZONE),
    Field::integer("tty")
        .optional()
        .range(0.0, 6.0)
        .default("2"),
    Field::boolean("unprivileged").optional().default("0"),
];

/// Processors and memory.
const RESOURCES: &[Field] = &[
    Field::integer("cores").optional().range(1.0, 8192.0),
    Field::number("cpulimit")
        .optional()
        .range(0.0, 8192.0)
        .default("0"),
    Field::integer("cpuunits")
        .optional()
        .range(0.0, 500_000.0)
        .default("cgroup v1: 1024, cgroup v2: 100"),
    Field::integer("memory").optional().min(16.0).default("512"),
    Field::integer("swap").optional().min(0.0).default("512"),
];

const UNUSED: &[Field] = &[Field::string("volume")
    .format(format::VOLUME_ID)
    .default_key()];

const DEVICES: &[Field] = &[
    properties("dev[n]", device::DEVICE)
        .indexed(256)
        .also(Device::check),
    properties("mp[n]", MP).indexed(256),
    properties("net[n]", NET).indexed(NETS),
    properties("rootfs", ROOTFS),
    properties("unused[n]", UNUSED).indexed(256),
];

/// All options of a container, in groups.
pub const OPTIONS: &[&[Field]] = &[GENERAL, SYSTEM, RESOURCES, DEVICES];
