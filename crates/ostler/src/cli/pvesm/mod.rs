//! `pvesm`: storages and their volumes, by the command names of Proxmox VE.

mod listen;
mod print;
mod prune;
mod streams;

use anyhow::{Context, Result};
use model::schema::Values;
use serde_json::Value;

use super::commands::{Command, Program, Show, delete, get, nothing, own, post, put};

pub(super) const PROGRAM: Program = Program {
    name: "pvesm",
    about: "storages of this node and their volumes",
    commands: COMMANDS,
    takes_passwords: false,
};

const ONE: &[&str] = &["storage"];
const VOLUME: &[&str] = &["volume"];
const STREAM: &[&str] = &["volume", "format", "filename"];
const CONTENT: &str = "/nodes/{node}/storage/{storage}/content";
const CONTENT_VOLUME: &str = "/nodes/{node}/storage/{storage}/content/{volume}";

const COMMANDS: &[Command] = &[
    post("add", "/storage")
        .takes(&["type", "storage"])
        .before(read_keyring),
    post("alloc", CONTENT)
        .takes(&["storage", "vmid", "filename", "size"])
        .show(Show::Text(print::allocated)),
    nothing("apiinfo"),
    cifs("cifsscan"),
    own(
        "export",
        "Write a volume to a file, or to standard output (-), as a stream.",
        streams::EXPORT,
        |agent, given, _| Box::pin(streams::export(agent, given)),
    )
    .takes(STREAM),
    get("extractconfig", "/nodes/{node}/vzdump/extractconfig").takes(VOLUME),
    delete("free", CONTENT_VOLUME).takes(VOLUME),
    own(
        "import",
        "Make a volume of a stream: a file, standard input (-), or who connects to tcp://NET or unix://PATH.",
        streams::IMPORT,
        |agent, given, _| Box::pin(streams::import(agent, given)),
    )
    .takes(STREAM),
    iscsi("iscsiscan"),
    get("list", CONTENT)
        .takes(ONE)
        .show(Show::Text(print::volumes)),
    groups("lvmscan"),
    thin_pools("lvmthinscan"),
    nfs("nfsscan"),
    get("path", CONTENT_VOLUME)
        .takes(VOLUME)
        .show(Show::Text(print::path)),
    own(
        "prune-backups",
        "Remove the backups of a storage that a rule does not keep, or with --dry-run show which ones.",
        prune::FIELDS,
        |agent, given, style| Box::pin(prune::prune(agent, given, style)),
    )
    .takes(ONE),
    delete("remove", "/storage/{storage}").takes(ONE),
    cifs("scan cifs"),
    iscsi("scan iscsi"),
    groups("scan lvm"),
    thin_pools("scan lvmthin"),
    nfs("scan nfs"),
    get("scan pbs", "/nodes/{node}/scan/pbs").takes(&["server", "username"]),
    datasets("scan zfs"),
    put("set", "/storage/{storage}")
        .takes(ONE)
        .before(read_keyring),
    get("status", "/nodes/{node}/storage").show(Show::Text(print::status)),
    datasets("zfsscan"),
];

/// `--keyring` names a file; the API takes its content.
fn read_keyring(given: &mut Values) -> Result<()> {
    if let Some(path) = given.get("keyring").and_then(Value::as_str) {
        let keyring = std::fs::read_to_string(path);
        let keyring = keyring.with_context(|| format!("reading the keyring in {path}"))?;
        given.insert("keyring".to_owned(), keyring.into());
    }
    Ok(())
}

// Each scan has two names, the newer and the older.

const fn cifs(name: &'static str) -> Command {
    get(name, "/nodes/{node}/scan/cifs")
        .takes(&["server"])
        .show(Show::Text(print::shares))
}

const fn iscsi(name: &'static str) -> Command {
    get(name, "/nodes/{node}/scan/iscsi")
        .takes(&["portal"])
        .show(Show::Text(print::targets))
}

const fn groups(name: &'static str) -> Command {
    get(name, "/nodes/{node}/scan/lvm").show(Show::Text(print::groups))
}

const fn thin_pools(name: &'static str) -> Command {
    get(name, "/nodes/{node}/scan/lvmthin")
        .takes(&["vg"])
        .show(Show::Text(print::thin_pools))
}

const fn nfs(name: &'static str) -> Command {
    get(name, "/nodes/{node}/scan/nfs")
        .takes(&["server"])
        .show(Show::Text(print::exports))
}

const fn datasets(name: &'static str) -> Command {
    get(name, "/nodes/{node}/scan/zfs").show(Show::Text(print::datasets))
}

#[cfg(test)]
mod tests {
    use super::super::agent::values;
    use super::*;

    #[test]
    fn a_keyring_is_read_from_the_file_that_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[client.admin]\n\tkey = x\n").unwrap();
        let mut given = values([("keyring", file.path().to_str().unwrap().into())]);
        read_keyring(&mut given).unwrap();
        assert_eq!(given["keyring"], "[client.admin]\n\tkey = x\n");
        let mut given = values([("keyring", "/nowhere".into())]);
        assert!(read_keyring(&mut given).is_err());
    }
}
