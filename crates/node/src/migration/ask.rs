//! What the agent of a guest's node asks the agent of the node that the guest moves to.

use model::qemu::DriveSlot;
use model::schema::Values;
use model::{BlockFormat, Error, StorageId, Upid, VmId, VolumeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of these requests. It is in no row of the operation table: only agents send them.
pub const OP: &str = "agent/migration";

/// Raised when a request or its effect changes. A node refuses those that it does not know.
pub(crate) const VERSION: u32 = 3;

/// What VMs need: nodes of earlier versions know it too.
pub(crate) const VERSION_OF_VMS: u32 = 2;

/// A request, and the task that has claimed the guest for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) vmid: VmId,
    pub(crate) upid: Upid,
    pub(crate) what: Ask,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// Get ready for the guest. Answered by the names of the volumes, in their order. May be
    /// repeated.
    Prepare {
        version: u32,
        volumes: Vec<Wanted>,
        /// For a guest that runs.
        live: Option<Live>,
        /// For one that is to be started there.
        #[serde(default)]
        starts: bool,
    },
    /// A stream: make this volume of the bytes that follow (`image`).
    Receive {
        volume: VolumeId,
        format: BlockFormat,
        bytes: u64,
    },
    /// A stream: make this directory of the files that follow (`tree`).
    ReceiveTree { volume: VolumeId, bytes: u64 },
    /// Make this volume, which holds nothing yet.
    Allocate {
        volume: VolumeId,
        format: BlockFormat,
        bytes: u64,
    },
    /// Start a QEMU that waits for the guest. Its disks at these places are exported.
    Launch {
        machine: Value,
        renamed: Vec<(VolumeId, VolumeId)>,
        exported: Vec<DriveSlot>,
    },
    /// A stream: a client's connection to the exports.
    Disk,
    /// A stream: the guest's memory, for the QEMU that waits.
    Memory,
    /// Answered once the guest is there, paused. Its disks are exported no more.
    Land,
    /// The guest is yours. May be repeated.
    Finish,
    /// The guest stays: remove what was made for it. May be repeated.
    Abort,
}

/// What a guest that runs needs at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    /// Whether it executes, and is to do so at the target.
    pub(crate) executes: bool,
    pub(crate) memory_mib: u64,
}

/// A volume that the target is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) from: VolumeId,
    /// Where it goes.
    pub(crate) storage: StorageId,
    pub(crate) format: BlockFormat,
    /// What a guest sees of it.
    pub(crate) bytes: u64,
    /// What it takes at its source; none if unknown.
    pub(crate) used: Option<u64>,
    /// The drive that a running guest has it in: QEMU mirrors it.
    #[serde(default)]
    pub(crate) live: Option<DriveSlot>,
    /// A directory with files; `bytes` is its limit, 0 for none.
    #[serde(default)]
    pub(crate) is_tree: bool,
}

impl Asked {
    pub(crate) fn params(&self) -> Result<Values, Error> {
        match serde_json::to_value(self) {
            Ok(Value::Object(params)) => Ok(params),
            _ => Err(Error::bug("a request to another agent is no object")),
        }
    }

    pub(crate) fn read(params: &Values) -> Result<Self, Error> {
        read(Value::Object(params.clone()))
    }
}

/// Reads what another agent sent, which may be of another version.
pub(crate) fn read<T: DeserializeOwned>(sent: Value) -> Result<T, Error> {
    serde_json::from_value(sent)
        .map_err(|error| Error::unavailable(format!("the other node said: {error}")))
}
