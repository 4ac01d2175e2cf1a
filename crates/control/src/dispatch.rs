//! From the wire to an operation: find, validate, verify, permit; run it, or forward it to its node.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use auth::vouch::Vouched;
use auth::{Access, Caller};
use model::{Error, ErrorKind, NodeName};
use node::cluster::BEAT;
use node::{history, migration};
use proto::status::{PeerMessage, PeerState, WatchMessage};
use proto::wire::{Answer, Peer, Request, Responder, Service, Streamed};
use proto::{Credential, Form, Identity, Needs, Permission, Row, Target, Verb, table};
use serde::Serialize;
use serde_json::Value;
use store::{Prefix, Read, StoreError};

use crate::Context;
use crate::forward::{self, Forwarded};
use crate::lanes::{Lanes, is_abandonable};
use crate::ops::{self, Handler, Op, StreamHandler};
use crate::quorum;

/// A request that passed all checks.
enum Admitted {
    Here(&'static Row, Op),
    Elsewhere(Forwarded),
}

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
    /// the limits. The node that the operation is for does the same once more.
    async fn admit(&self, peer: &Peer, request: &Request) -> Result<Admitted, Error> {
        let row = table::row(&request.op).ok_or_else(|| not_implemented(&request.op))?;
        if matches!(peer, Peer::Node { .. }) && row.target == Target::Any {
            let text = format!("{} is not for other nodes' agents", row.label());
            return Err(Error::forbidden(text));
        }
        let identity = self.identify(peer, row, request).await?;
        let node = &self.context.node;
        let mut params = row.check_params(&request.params)?;
        row.name_node(&mut params, node.name.as_str());
        forward::name_owner_of_task(node, row, &mut params);
        let outage = self
            .context
            .store
            .outage()
            .filter(|_| row.needs == Needs::Quorum);
        if let Some(identity) = &identity {
            let read = match row.needs {
                Needs::Quorum if outage.is_none() => Read::Linear,
                _ => Read::Local,
            };
            let access = self.rights(row, read).await?;
            let now = self.context.clock.wall();
            access.check(&row.permission, identity, &params, now)?;
        }
        if let Some(outage) = &outage {
            return Err(match &identity {
                Some(_) => quorum::missing(node, outage),
                None => StoreError::NoQuorum.into(),
            });
        }
        let owner = forward::owner(node, peer, row, &params)?;
        let (caller, address) = (identity.as_ref(), request.address.as_deref());
        if let Some(owner) = owner {
            let permit = self.lanes.enter_forwarded(&owner, caller, address)?;
            return Forwarded::new(node, row, &owner, request, caller, permit)
                .map(Admitted::Elsewhere);
        }
        let permit = self.lanes.enter(row, &params, caller, address)?;
        let is_alone = params.get("local-only") == Some(&Value::Bool(true));
        let others = match (row.target, peer) {
            (Target::All, Peer::Local { .. }) if !is_alone => {
                forward::gather(node, request, caller).await
            }
            _ => Vec::new(),
        };
        let op = Op {
            context: self.context.clone(),
            records: match row.needs {
                Needs::Local => node.records.local(),
                Needs::Quorum => node.records.clone(),
            },
            caller: identity,
            params,
            request_id: request.id.clone(),
            address: request.address.clone(),
            process: peer.uid(),
            others,
            _permit: permit,
        };
        Ok(Admitted::Here(row, op))
    }

    /// The newest rights; for operations that must work without the store, those known last.
    async fn rights(&self, row: &Row, read: Read) -> Result<Arc<Access>, Error> {
        let authority = &self.context.authority;
        match authority.refresh(read).await {
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
        peer: &Peer,
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
        if let (Credential::Vouched(voucher), Peer::Node { name, key }) =
            (&request.credential, peer)
        {
            let what = Vouched {
                from: name,
                to: &self.context.node.name,
                op: &request.op,
                id: &request.id,
                params: &request.params,
            };
            let vouchers = &self.context.node.cluster.vouchers;
            let now = self.context.clock.wall();
            return vouchers.verify(voucher, &what, key, now).map(Some);
        }
        let caller = Caller {
            address: request.address.as_deref(),
            uid: peer.uid(),
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
        if let Peer::Node { name, .. } = &peer
            && let Some(answer) = self.answer_member(name, &request).await
        {
            return answer;
        }
        let (row, op) = match self.admit(&peer, &request).await? {
            Admitted::Here(row, op) => (row, op),
            Admitted::Elsewhere(forwarded) => return forwarded.answer().await,
        };
        let answer = match row.form {
            // A stream also has a part without a descriptor, which runs after the descriptor has
            // been used.
            Form::Call | Form::Submit | Form::Stream => self.handler(row)?(op).await,
            Form::Index => Err(Error::bug(format!(
                "{} is answered by the api, not by the agent",
                row.label()
            ))),
        };
        Ok(Answer {
            age_s: self.age_s(),
            ..answer?
        })
    }

    async fn stream(&self, peer: Peer, request: Request) -> Result<Streamed, Error> {
        if let Peer::Node { name, .. } = &peer
            && request.op == migration::OP
        {
            return self
                .context
                .node
                .connect_source(name, &request.params)
                .await;
        }
        match self.admit(&peer, &request).await? {
            Admitted::Here(row, op) => {
                let handler = self.streams.get(row.name).copied();
                handler.ok_or_else(|| not_implemented(row.name))?(op).await
            }
            Admitted::Elsewhere(forwarded) => forwarded.stream().await,
        }
    }

    async fn verify(
        &self,
        peer: Peer,
        credential: Credential,
        address: Option<String>,
    ) -> Result<Identity, Error> {
        if matches!(peer, Peer::Node { .. }) {
            return Err(Error::forbidden(
                "credentials are verified at the node itself",
            ));
        }
        let caller = Caller {
            address: address.as_deref(),
            uid: peer.uid(),
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

    async fn watch(&self, peer: Peer, mut responder: Responder) -> Result<(), Error> {
        match peer {
            Peer::Local { .. } => self.feed_copy(&mut responder).await,
            Peer::Node { .. } => self.feed_member(&mut responder).await,
        }
    }
}

impl Dispatcher {
    /// Answers what agents ask each other outside of the table. For all other callers there are no
    /// such operations.
    async fn answer_member(
        &self,
        name: &NodeName,
        request: &Request,
    ) -> Option<Result<Answer, Error>> {
        let node = &self.context.node;
        match request.op.as_str() {
            migration::OP => Some(node.answer_source(name, &request.params).await),
            history::OP => Some(node.answer_owner(name, &request.params).await),
            _ => None,
        }
    }

    /// Everything for a copy of the api.
    async fn feed_copy(&self, responder: &mut Responder) -> Result<(), Error> {
        let secret = Prefix::below("secret").expect("a constant that is a key");
        let mut feed = store::remote::feed(self.context.store.clone(), vec![secret]);
        let node = &self.context.node;
        let mut reports = node.cluster.reports(&node.status);
        let mut alerts = node.alerts_feed();
        let mut is_out = false;
        loop {
            let message = tokio::select! {
                biased;
                () = self.context.store.until_outage(!is_out) => {
                    is_out = !is_out;
                    WatchMessage::Outage(self.age_s())
                }
                message = feed.next() => WatchMessage::Store(message?),
                list = alerts.next() => WatchMessage::Alerts(list),
                mut update = reports.next() => {
                    if update.alerts.take().is_some() {
                        node.alerts.changed();
                    }
                    WatchMessage::Status(update)
                }
            };
            responder.send(encoded(message)?).await?;
        }
    }

    /// How old the state is while there is no quorum.
    fn age_s(&self) -> Option<u64> {
        let outage = self.context.store.outage()?;
        Some(outage.age.unwrap_or_default().as_secs())
    }

    /// What another member wants to know. It gets nothing of the store, which it reads itself.
    async fn feed_member(&self, responder: &mut Responder) -> Result<(), Error> {
        let mut status = self.context.node.status.feed();
        let beat = || PeerMessage::Beat {
            generation: self.context.node.cluster.generation.own(),
            state: self.context.store.copy().map(|copy| PeerState {
                quorate: self.context.store.outage().is_none(),
                revision: copy.revision.0,
            }),
        };
        responder.send(encoded(beat())?).await?;
        loop {
            let message = tokio::select! {
                update = status.next() => PeerMessage::Status(update),
                () = self.context.clock.sleep(BEAT) => beat(),
            };
            responder.send(encoded(message)?).await?;
        }
    }
}

fn encoded(message: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(message)
        .map_err(|error| Error::bug(format!("a feed cannot be sent: {error}")))
}
