//! The file that says where the state is, `store.json`. Without it the state is in `state.db`.

use model::{Error, NodeName};
use serde::{Deserialize, Serialize};
use store::EtcdMember;
use sys::SharedHost;

use crate::Paths;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    v: u32,
    /// The client addresses of etcd's members, this node's first.
    pub endpoints: Vec<String>,
    /// The member that runs on this node.
    pub server: Option<Server>,
}

/// A member of etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Where it listens: an IP address or a host's name.
    pub address: String,
    /// Random: members with different ones do not find each other.
    pub token: String,
    /// The members that it joins, `NAME=PEER URL` with commas, itself included; none for the first
    /// one. Read by etcd as long as it has no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
}

const VERSION: u32 = 1;

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

impl Pointer {
    /// To an etcd whose only member so far runs on this node.
    pub fn to(server: Server) -> Self {
        Self {
            v: VERSION,
            endpoints: vec![server.client_url()],
            server: Some(server),
        }
    }

    /// To an etcd on other nodes.
    pub fn at(endpoints: Vec<String>) -> Self {
        Self {
            v: VERSION,
            endpoints,
            server: None,
        }
    }

    /// None: the state is in the node's own file.
    pub(super) async fn read(host: &SharedHost, paths: &Paths) -> Result<Option<Self>, Error> {
        let path = paths.store_pointer();
        let wrong = |why: String| Error::unavailable(format!("{}: {why}", path.display()));
        let text = match host.read(&path).await {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let pointer: Self = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        if pointer.v > VERSION {
            let v = pointer.v;
            return Err(wrong(format!(
                "format {v}, this program knows formats up to {VERSION}"
            )));
        }
        Ok(Some(pointer))
    }

    /// Replaces the file in one step, durably.
    pub(super) async fn write(&self, host: &SharedHost, paths: &Paths) -> Result<(), Error> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::bug(format!("a pointer to a store: {error}")))?;
        Ok(host.write(&paths.store_pointer(), &text, 0o600).await?)
    }
}

impl Server {
    /// The first member of a new etcd.
    pub fn first(address: String) -> Self {
        Self {
            address,
            token: uuid::Uuid::new_v4().to_string(),
            existing: None,
        }
    }

    /// One that joins the members of an etcd, of which it is one already.
    pub(super) fn joining(address: &str, own: &NodeName, members: &[EtcdMember]) -> Self {
        let mut server = Self::first(address.to_owned());
        let members = members.iter().map(|member| {
            let is_own = member.peer_url == server.peer_url();
            let name = if is_own { own.as_str() } else { &member.name };
            format!("{name}={}", member.peer_url)
        });
        let members: Vec<String> = members.collect();
        server.existing = Some(members.join(","));
        server
    }

    pub fn client_url(&self) -> String {
        url(&self.address, CLIENT_PORT)
    }

    pub fn peer_url(&self) -> String {
        url(&self.address, PEER_PORT)
    }
}

/// Where the etcd at an address serves its clients.
pub fn client_url(address: &str) -> String {
    url(address, CLIENT_PORT)
}

fn url(address: &str, port: u16) -> String {
    match address.contains(':') {
        true => format!("https://[{address}]:{port}"),
        false => format!("https://{address}:{port}"),
    }
}
