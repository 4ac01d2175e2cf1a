//! Where things are on a node (docs/layout.md).

use std::path::{Path, PathBuf};

use model::VmId;

/// All paths of a node, below one root.
#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
}

/// The name of the file with the keys that seal the cluster's secrets.
pub(crate) const SEALING_KEYS: &str = "secrets.key";

impl Paths {
    /// `/`, or a folder that holds a whole node (`OSTLER_ROOT`).
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files of devices of a container. In `/run` they could not be opened.
    pub(crate) fn devices(&self, vmid: VmId) -> PathBuf {
        self.root.join("dev/ostler").join(vmid.to_string())
    }

    pub fn config(&self) -> PathBuf {
        self.root.join("etc/ostler/ostler.toml")
    }

    pub fn state(&self) -> PathBuf {
        self.root.join("var/lib/ostler")
    }

    pub fn database(&self) -> PathBuf {
        self.state().join("state.db")
    }

    /// Says where the state is if it is not in the database.
    pub fn store_pointer(&self) -> PathBuf {
        self.state().join("store.json")
    }

    /// Says that this machine is the witness of a cluster, and no node.
    pub(crate) fn witness(&self) -> PathBuf {
        self.state().join("witness.json")
    }

    /// States that were saved.
    pub fn saved(&self) -> PathBuf {
        self.state().join("saved")
    }

    pub(crate) fn saved_state(&self, name: &str) -> PathBuf {
        self.saved().join(format!("{name}.db"))
    }

    /// Says which saved state the next start of the agent restores.
    pub(crate) fn restore_order(&self) -> PathBuf {
        self.state().join("restore.json")
    }

    /// Says which one was restored last.
    pub(crate) fn restored(&self) -> PathBuf {
        self.state().join("restored.json")
    }

    /// The data and certificates of this node's etcd; it belongs to etcd's user.
    pub fn etcd(&self) -> PathBuf {
        self.state().join("etcd")
    }

    pub fn etcd_log(&self) -> PathBuf {
        self.state().join("etcd.log")
    }

    /// This node's copy of the state of a cluster.
    pub fn replica(&self) -> PathBuf {
        self.state().join("replica")
    }

    /// The use of resources over time.
    pub fn history(&self) -> PathBuf {
        self.state().join("history")
    }

    pub fn tasks(&self) -> PathBuf {
        self.state().join("tasks")
    }

    /// Certificates and their keys.
    pub fn tls(&self) -> PathBuf {
        self.state().join("tls")
    }

    /// The keys that seal the cluster's secrets in etcd.
    pub fn sealing_keys(&self) -> PathBuf {
        self.tls().join(SEALING_KEYS)
    }

    /// What a cluster gave to this node, until it belongs to it.
    pub fn joining(&self) -> PathBuf {
        self.state().join("joining")
    }

    /// Exists while this node forgets its cluster.
    pub fn leaving(&self) -> PathBuf {
        self.state().join("leaving")
    }

    /// What the API serves: its certificate and those of its authorities.
    pub fn served_certificate(&self) -> PathBuf {
        self.state().join("api/chain.pem")
    }

    pub fn runtime(&self) -> PathBuf {
        self.root.join("run/ostler")
    }

    /// Where the agent listens.
    pub fn socket(&self) -> PathBuf {
        self.runtime().join("node.sock")
    }

    pub fn guests(&self) -> PathBuf {
        self.runtime().join("guests")
    }

    /// What a running guest was started with.
    pub fn run_file(&self, vmid: VmId) -> PathBuf {
        self.guests().join(format!("{vmid}.json"))
    }

    /// A guest's sockets; goes when the guest has ended. It belongs to the guest's user, so root
    /// opens nothing in it.
    pub fn guest(&self, vmid: VmId) -> PathBuf {
        self.guests().join(vmid.to_string())
    }

    /// Where the file systems of a container are while they are mounted on the host.
    pub(crate) fn mounted(&self, vmid: VmId) -> PathBuf {
        self.all_mounted().join(vmid.to_string())
    }

    /// The folder of all of them.
    pub(crate) fn all_mounted(&self) -> PathBuf {
        self.runtime().join("mounted")
    }

    /// What a guest's QEMU prints.
    pub(crate) fn guest_log(&self, vmid: VmId) -> PathBuf {
        self.guests().join(format!("{vmid}.log"))
    }

    /// Where it is written that we froze a guest.
    pub(crate) fn frozen_mark(&self, vmid: VmId) -> PathBuf {
        self.guests().join(format!("{vmid}.frozen"))
    }

    /// The UEFI variables of a guest that has no volume for them.
    pub(crate) fn temporary_variables(&self, vmid: VmId) -> PathBuf {
        self.guests().join(format!("{vmid}.efivars"))
    }

    /// How a guest's QEMU reaches clusters: files that its user may read, in a folder of root's.
    pub(crate) fn clusters(&self, vmid: VmId) -> PathBuf {
        self.guests().join(format!("{vmid}.clusters"))
    }

    /// What is made on the way to a guest's cloud-init medium; only there while a task makes it.
    pub fn seed(&self, vmid: VmId) -> PathBuf {
        self.guests().join(format!("{vmid}.seed"))
    }

    /// The first storage, in the layout of Proxmox VE.
    pub fn local_storage(&self) -> PathBuf {
        self.root.join("var/lib/vz")
    }
}
