//! The client of this host's agent, for commands.

use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

use anyhow::{Context, Result};
use http::Index;
use model::schema::Values;
use model::{Clock, Error, ErrorKind, NodeName};
use node::Paths;
use proto::wire::{Answer, Client, Held, Request};
use proto::{Credential, Form, Row, Verb, table};
use serde_json::Value;
use sys::SystemClock;
use tokio::net::UnixStream;
use uuid::Uuid;

use super::output;
use crate::config::Config;

/// The time limit of the first copy of the agent's state.
const SNAPSHOT_TIMEOUT_S: u64 = 30;

/// Calls the agent as root: the kernel proves the caller's uid on the socket.
pub(crate) struct Agent {
    pub(crate) node: NodeName,
    pub(crate) paths: Paths,
    pub(crate) clock: Arc<dyn Clock>,
    client: Client,
    /// Whether the caller has been told of an old state.
    aged: Once,
}

impl Agent {
    /// The agent of this host, or of `OSTLER_ROOT`. Connects at the first call.
    pub(crate) fn of_this_machine() -> Result<Self> {
        let config = Config::load().context("reading the node's configuration")?;
        Ok(Self {
            node: config.node,
            client: Client::new(config.paths.socket()),
            paths: config.paths,
            clock: Arc::new(SystemClock::new()),
            aged: Once::new(),
        })
    }

    /// Calls an operation by its verb and path, e.g. `/nodes/{node}/qemu`; the node is this one if
    /// the parameters do not name one.
    pub(crate) async fn at(&self, verb: Verb, path: &str, params: Values) -> Result<Answer> {
        self.ask(row(verb, path)?, params).await
    }

    /// Calls an operation. Parameters are checked here first, close to the mistake.
    pub(crate) async fn ask(&self, row: &'static Row, mut given: Values) -> Result<Answer> {
        let takes_node = row.params.iter().flat_map(|group| group.iter());
        if takes_node
            .clone()
            .any(|field| field.name == "node" && !field.optional)
        {
            self.name_node(&mut given);
        }
        let params = row.check_params(&given)?;
        let answer = match row.form {
            Form::Index => self.ask_index(row, &params).await?,
            Form::Call | Form::Submit => self.client.request(request(row, given)).await?,
            Form::Stream => {
                let text = format!("{} is not for the command line", row.label());
                return Err(Error::new(ErrorKind::NotImplemented, text).into());
            }
        };
        if let Some(age_s) = answer.age_s {
            self.aged.call_once(|| {
                output::note(&format!("no quorum: this is the state of {age_s} s ago"));
            });
        }
        Ok(answer)
    }

    /// Opens the stream of an operation: its answer, the stream, and what keeps it open until the
    /// operation itself was called (`call`).
    pub(crate) async fn open(
        &self,
        row: &'static Row,
        mut given: Values,
    ) -> Result<(Answer, UnixStream, Held)> {
        self.name_node(&mut given);
        row.check_params(&given)?;
        let opened = self.client.stream_held(request(row, given)).await?;
        let (answer, descriptor, held) = opened;
        let socket = std::os::unix::net::UnixStream::from(descriptor);
        socket.set_nonblocking(true)?;
        Ok((answer, UnixStream::from_std(socket)?, held))
    }

    /// Calls an operation whose stream was opened.
    pub(crate) async fn call(&self, row: &'static Row, mut given: Values) -> Result<Answer> {
        self.name_node(&mut given);
        Ok(self.client.request(request(row, given)).await?)
    }

    /// `localhost` is replaced by this node's name.
    fn name_node(&self, given: &mut Values) {
        let is_ours = match given.get("node") {
            None => true,
            Some(named) => named == "localhost",
        };
        if is_ours {
            given.insert("node".to_owned(), self.node.as_str().into());
        }
    }

    /// The answer of the API process, from a copy of the agent's state made for this call.
    async fn ask_index(&self, row: &'static Row, params: &Values) -> Result<Answer> {
        let who = self.client.verify(Credential::Peer, None).await?;
        let index = Index::new(self.clock.clone());
        tokio::select! {
            loaded = index.load(&self.client) => loaded?,
            () = self.clock.sleep(Duration::from_secs(SNAPSHOT_TIMEOUT_S)) => {
                let text = "the node agent did not send its state in time";
                return Err(Error::unavailable(text).into());
            }
        }
        Ok(index.ask(row, &who, params)?)
    }

    /// A guest's run file, which exists while the guest runs.
    pub(crate) fn run_file(&self, vmid: model::VmId) -> PathBuf {
        self.paths.run_file(vmid)
    }
}

fn request(row: &Row, params: Values) -> Request {
    Request {
        op: row.name.to_owned(),
        params,
        credential: Credential::Peer,
        id: Uuid::new_v4().to_string(),
        address: None,
    }
}

/// The row at a path of the table; the error names the path if this version has none.
pub(crate) fn row(verb: Verb, path: &str) -> Result<&'static Row, Error> {
    find(verb, path).ok_or_else(|| {
        let text = format!(
            "{} {path} is not supported by this version of Ostler",
            verb.as_str()
        );
        Error::new(ErrorKind::NotImplemented, text)
    })
}

pub(crate) fn find(verb: Verb, path: &str) -> Option<&'static Row> {
    table::rows().find(|row| row.verb == verb && row.path == path)
}

/// `{"vmid": 100, …}` as parameters.
pub(crate) fn values<const N: usize>(pairs: [(&str, Value); N]) -> Values {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
