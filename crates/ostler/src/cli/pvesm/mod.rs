//! `pvesm`: storages and their volumes, by the command names of Proxmox VE.

mod print;

use super::commands::{Command, Program, Show, delete, get, nothing, post, put};

pub(super) const PROGRAM: Program = Program {
    name: "pvesm",
    about: "storages of this node and their volumes",
    commands: COMMANDS,
    takes_passwords: false,
};

const ONE: &[&str] = &["storage"];
const VOLUME: &[&str] = &["volume"];
const CONTENT: &str = "/nodes/{node}/storage/{storage}/content";
const CONTENT_VOLUME: &str = "/nodes/{node}/storage/{storage}/content/{volume}";

const COMMANDS: &[Command] = &[
    post("add", "/storage").takes(&["type", "storage"]),
    post("alloc", CONTENT)
        .takes(&["storage", "vmid", "filename", "size"])
        .show(Show::Text(print::allocated)),
    nothing("apiinfo"),
    nothing("export"),
    get("extractconfig", "/nodes/{node}/vzdump/extractconfig").takes(VOLUME),
    delete("free", CONTENT_VOLUME).takes(VOLUME),
    nothing("import"),
    get("list", CONTENT)
        .takes(ONE)
        .show(Show::Text(print::volumes)),
    get("path", CONTENT_VOLUME)
        .takes(VOLUME)
        .show(Show::Text(print::path)),
    delete(
        "prune-backups",
        "/nodes/{node}/storage/{storage}/prunebackups",
    )
    .takes(ONE),
    delete("remove", "/storage/{storage}").takes(ONE),
    get("scan cifs", "/nodes/{node}/scan/cifs")
        .takes(&["server"])
        .show(Show::Text(print::shares)),
    get("scan iscsi", "/nodes/{node}/scan/iscsi")
        .takes(&["portal"])
        .show(Show::Text(print::targets)),
    get("scan lvm", "/nodes/{node}/scan/lvm").show(Show::Text(print::groups)),
    get("scan lvmthin", "/nodes/{node}/scan/lvmthin")
        .takes(&["vg"])
        .show(Show::Text(print::thin_pools)),
    get("scan nfs", "/nodes/{node}/scan/nfs")
        .takes(&["server"])
        .show(Show::Text(print::exports)),
    get("scan pbs", "/nodes/{node}/scan/pbs").takes(&["server", "username"]),
    get("scan zfs", "/nodes/{node}/scan/zfs").show(Show::Text(print::datasets)),
    put("set", "/storage/{storage}").takes(ONE),
    get("status", "/nodes/{node}/storage").show(Show::Text(print::status)),
    // Older names.
    get("cifsscan", "/nodes/{node}/scan/cifs")
        .takes(&["server"])
        .show(Show::Text(print::shares)),
    get("iscsiscan", "/nodes/{node}/scan/iscsi")
        .takes(&["portal"])
        .show(Show::Text(print::targets)),
    get("lvmscan", "/nodes/{node}/scan/lvm").show(Show::Text(print::groups)),
    get("lvmthinscan", "/nodes/{node}/scan/lvmthin")
        .takes(&["vg"])
        .show(Show::Text(print::thin_pools)),
    get("nfsscan", "/nodes/{node}/scan/nfs")
        .takes(&["server"])
        .show(Show::Text(print::exports)),
    get("zfsscan", "/nodes/{node}/scan/zfs").show(Show::Text(print::datasets)),
];
