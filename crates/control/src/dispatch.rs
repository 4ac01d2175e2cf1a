//! From the wire to an operation: find, validate, verify, permit, run.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use auth::{Access, Caller};
use model::schema::Values;
use model::{Error, ErrorKind, NodeName};
use proto::status::WatchMessage;
use proto::wire::{Answer, Peer, Request, Responder, Service, Streamed};
use proto::{Credential, Form, Identity, Needs, Permission, Row, Target, Verb, table};
use store::Prefix;

use crate::Context;
use crate::lanes::{Lanes, is_abandonable};
use crate::ops::{self, Handler, Op, StreamHandler};

/// The agent's side of the wire.
pub struct Dispatcher {
    context: Arc<Context>,
    handlers: HashMap<&'static str, Handler>,
    streams: HashMap<&'static str, StreamHandler>,
    lanes: Lanes,
}

impl Dispatcher {
    pub fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            handlers: ops::pairs().copied().collect(),
            streams: ops::streams().copied().collect(),
            lanes: Lanes::default(),
        }
    }

    /// Everything that must hold before an operation runs, in this order: the operation exists, the
    /// caller is authenticated, the parameters are valid, the caller has the rights, and is within
    /// the limits.
    async fn admit(&self, peer: Peer, request: &Request) -> Result<(&'static Row, Op), Error> {
        let row = table::row(&request.op).ok_or_else(|| not_implemented(&request.op))?;
        let identity = self.identify(peer, row, request).await?;
        let mut params = row.check_params(&request.params)?;
        row.name_node(&mut params, self.context.node.name.as_str());
        if let Some(identity) = &identity {
            let access = self.rights(row).await?;
            let now = self.context.clock.wall();
            access.check(&row.permission, identity, &params, now)?;
        }
        self.route(row, &params)?;
        let (caller, address) = (identity.as_ref(), request.address.as_deref());
        let permit = self.lanes.enter(row, &params, caller, address)?;
        let op = Op {
            context: self.context.clone(),
            records: match row.needs {
                Needs::Local => self.context.node.records.local(),
                Needs::Quorum => self.context.node.records.clone(),
            },
            caller: identity,
            params,
            request_id: request.id.clone(),
            address: request.address.clone(),
            process: peer.uid,
            _permit: permit,
        };
        Ok((row, op))
    }

    /// Finds the node that an operation runs on. So far that is always this one; a cluster will
    /// forward the request from here.
    fn route(&self, row: &Row, params: &Values) -> Result<(), Error> {
        let node = params.get("node").filter(|_| row.target == Target::Node);
        match node.and_then(|node| node.as_str()) {
            Some(name) => {
                let name = NodeName::new(name)
                    .map_err(|error| Error::invalid("node", error.to_string()))?;
                self.context.check_node(&name)
            }
            None => Ok(()),
        }
    }

    /// The newest rights; for operations that must work without quorum, the local snapshot.
    async fn rights(&self, row: &Row) -> Result<Arc<Access>, Error> {
        let authority = &self.context.authority;
        match authority.refresh().await {
            Err(error) if row.needs == Needs::Local => {
                tracing::warn!(%error, op = row.name, "using the last known rights");
                Ok(authority.access())
            }
            result => Ok(result?),
        }
    }

    /// Authenticates the caller. None for an operation that is open to the world.
    async fn identify(
        &self,
        peer: Peer,
        row: &Row,
        request: &Request,
    ) -> Result<Option<Identity>, Error> {
        if matches!(row.permission, Permission::World) {
            return Ok(None);
        }
        if !row.allow_token && matches!(request.credential, Credential::Token(_)) {
            let text = format!("{} needs a ticket, not an API token", row.label());
            return Err(Error::forbidden(text));
        }
        let caller = Caller {
            address: request.address.as_deref(),
            uid: Some(peer.uid),
        };
        // An upload needs only the ticket, as in Proxmox VE: its clients send no CSRF token.
        let csrf_required = row.verb != Verb::Get && row.form != Form::Stream;
        let verified = self
            .context
            .authority
            .verify(&request.credential, csrf_required, caller)
            .await?;
        Ok(Some(verified))
    }

    fn handler(&self, row: &Row) -> Result<Handler, Error> {
        self.handlers
            .get(row.name)
            .copied()
            .ok_or_else(|| not_implemented(row.name))
    }
}

fn not_implemented(op: &str) -> Error {
    Error::new(
        ErrorKind::NotImplemented,
        format!("operation '{op}' is not implemented"),
    )
}

#[async_trait]
impl Service for Dispatcher {
    async fn request(&self, peer: Peer, request: Request) -> Result<Answer, Error> {
        let (row, op) = self.admit(peer, &request).await?;
        match row.form {
            // A stream also has a part without a descriptor, which runs after the descriptor has
            // been used.
            Form::Call | Form::Submit | Form::Stream => self.handler(row)?(op).await,
            Form::Index => Err(Error::bug(format!(
                "{} is answered by the api, not by the agent",
                row.label()
            ))),
        }
    }

    async fn stream(&self, peer: Peer, request: Request) -> Result<Streamed, Error> {
        let (row, op) = self.admit(peer, &request).await?;
        let handler = self.streams.get(row.name).copied();
        handler.ok_or_else(|| not_implemented(row.name))?(op).await
    }

    async fn verify(
        &self,
        peer: Peer,
        credential: Credential,
        address: Option<String>,
    ) -> Result<Identity, Error> {
        let caller = Caller {
            address: address.as_deref(),
            uid: Some(peer.uid),
        };
        Ok(self
            .context
            .authority
            .verify(&credential, false, caller)
            .await?)
    }

    fn is_abandonable(&self, request: &Request) -> bool {
        table::row(&request.op).is_some_and(is_abandonable)
    }

    async fn watch(&self, _peer: Peer, mut responder: Responder) -> Result<(), Error> {
        let secret = Prefix::below("secret").expect("a constant that is a key");
        let mut feed = store::remote::feed(self.context.store.clone(), vec![secret]);
        let mut status = self.context.node.status.feed();
        loop {
            let message = tokio::select! {
                message = feed.next() => WatchMessage::Store(message?),
                update = status.next() => WatchMessage::Status(update),
            };
            let message = serde_json::to_value(message)
                .map_err(|error| Error::bug(format!("a feed cannot be sent: {error}")))?;
            responder.send(message).await?;
        }
    }
}
