//! The file that says where the state is, `store.json`. Without it the state is in `state.db`.

use model::Error;
use serde::{Deserialize, Serialize};
use sys::SharedHost;

use crate::Paths;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    pub(super) v: u32,
    /// The client addresses of etcd's members, this node's first.
    pub(super) endpoints: Vec<String>,
    /// The member that runs on this node.
    pub(super) server: Option<Server>,
}

/// A member of etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Where it listens: an IP address or a host's name.
    pub address: String,
    /// Random: members with different ones do not find each other.
    pub token: String,
}

const VERSION: u32 = 1;

impl Pointer {
    pub(super) fn to(server: Server) -> Self {
        Self {
            v: VERSION,
            endpoints: vec![server.url(super::server::CLIENT_PORT)],
            server: Some(server),
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
    pub(super) fn url(&self, port: u16) -> String {
        match self.address.contains(':') {
            true => format!("https://[{}]:{port}", self.address),
            false => format!("https://{}:{port}", self.address),
        }
    }
}
