//! The operations, in the folders of their resources; each function has the name of its row.

pub mod access;
mod approved;
mod before;
mod cluster;
mod console;
mod copies;
mod guest_options;
mod lxc;
mod migration;
mod node;
mod ostler;
mod pools;
mod qemu;
mod settings;
mod snapshots;
mod storage;
mod tags;
mod volume_access;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ::node::Records;
use model::schema::Values;
use model::{Error, ErrorKind};
use proto::Identity;
use proto::wire::{Answer, Streamed};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Context;
use crate::lanes::Permit;

/// A verified, permitted and validated request.
pub struct Op {
    pub context: Arc<Context>,
    /// Records of guests and storages: from this node's own copy if the row works without quorum.
    pub records: Records,
    /// None if the operation is open to the world.
    pub caller: Option<Identity>,
    pub params: Values,
    /// See `proto::wire::Request::id`.
    pub request_id: String,
    pub address: Option<String>,
    /// The uid of the calling process, from the kernel; none if another node forwarded it.
    pub process: Option<u32>,
    /// For an operation of all nodes that was asked here: the rows of the other nodes.
    pub(crate) others: Vec<Value>,
    /// Its place in the limits on simultaneous requests.
    pub(crate) _permit: Permit,
}

impl Op {
    /// The caller, for operations that are not open to the world.
    pub fn identity(&self) -> Result<&Identity, Error> {
        let nobody = || Error::new(ErrorKind::Unauthenticated, "No ticket");
        self.caller.as_ref().ok_or_else(nobody)
    }

    /// Whether another node's agent asks for this node's part of an answer.
    fn is_part(&self) -> bool {
        self.process.is_none()
    }

    /// Refuses what only some parameters of a local operation ask for: a change.
    fn require_quorum(&self) -> Result<(), Error> {
        let node = &self.context.node;
        let outage = self.context.store.outage();
        outage.map_or(Ok(()), |outage| Err(crate::quorum::missing(node, &outage)))
    }

    /// The origin of the request, for the limit on failed logins.
    pub fn origin(&self) -> auth::Caller<'_> {
        auth::Caller {
            address: self.address.as_deref(),
            uid: self.process,
        }
    }

    /// The parameters as the operation's own struct (`#[serde(rename_all = "kebab-case")]` where
    /// the wire's names need it). A mismatch is a bug in the row or the struct.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_value(self.params.clone().into())
            .map_err(|error| Error::bug(format!("parameters do not fit the operation: {error}")))
    }
}

pub type Done = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

/// An operation's function.
pub type Handler = fn(Op) -> Done;

/// Pairs a row's name with its function.
pub type Pair = (&'static str, Handler);

/// `pair!("user_list", user_list::user_list)`: boxes the async function behind a plain function
/// pointer.
macro_rules! pair {
    ($name:literal, $function:path) => {
        (
            $name,
            (|op| Box::pin($function(op))) as $crate::ops::Handler,
        )
    };
}
pub(crate) use pair;
use settings::change_options;

pub type Streaming = Pin<Box<dyn Future<Output = Result<Streamed, Error>> + Send>>;

/// The part of an operation that answers with a descriptor.
pub type StreamHandler = fn(Op) -> Streaming;

/// Pairs a row's name with the function of its stream.
pub type StreamPair = (&'static str, StreamHandler);

/// Like `pair!`, for streams.
macro_rules! stream_pair {
    ($name:literal, $function:path) => {
        (
            $name,
            (|op| Box::pin($function(op))) as $crate::ops::StreamHandler,
        )
    };
}
pub(crate) use stream_pair;

const GROUPS: &[&[Pair]] = &[
    access::PAIRS,
    lxc::PAIRS,
    ostler::PAIRS,
    ostler::admission::PAIRS,
    ostler::snapshot_jobs::PAIRS,
    ostler::adopt::PAIRS,
    ostler::deployment::PAIRS,
    ostler::exports::PAIRS,
    ostler::isolation::PAIRS,
    ostler::profiles::PAIRS,
    ostler::snapshots::PAIRS,
    ostler::tiers::PAIRS,
    ostler::zpools::PAIRS,
    pools::PAIRS,
    qemu::AGENT_PAIRS,
    qemu::PAIRS,
    storage::PAIRS,
];

/// All operations of the agent, with their rows' names.
pub fn pairs() -> impl Iterator<Item = &'static Pair> {
    let groups = GROUPS.iter().chain(cluster::GROUPS).chain(node::GROUPS);
    groups.flat_map(|group| group.iter())
}

/// All operations whose answer comes with a descriptor, with their rows' names.
pub fn streams() -> impl Iterator<Item = &'static StreamPair> {
    let guests = qemu::STREAMS.iter().chain(lxc::STREAMS);
    node::STREAMS.iter().chain(guests)
}
