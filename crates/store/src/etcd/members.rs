//! The members of the cluster: one is used until it fails, then the next one.

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::Clock;
use prost::Message;

use super::EtcdOptions;
use super::connection::{Connection, Leader};
use super::fault::Fault;

/// Whether a call may be sent again when it is unknown what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Always,
    IfNothingHappened,
}

pub(crate) struct Members {
    options: EtcdOptions,
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
}

struct Current {
    /// The number of the endpoint in the options, counted around.
    endpoint: usize,
    /// Counts how often the member was changed, so that several calls which fail at once change it
    /// once.
    changes: u64,
    connection: Option<Connection>,
}

impl Members {
    pub(crate) fn new(options: EtcdOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            options,
            clock,
            current: Mutex::new(Current {
                endpoint: 0,
                changes: 0,
                connection: None,
            }),
        }
    }

    pub(crate) fn options(&self) -> &EtcdOptions {
        &self.options
    }

    /// Calls one member after the other until one answers, each at most once.
    pub(crate) async fn call<Q, A>(
        &self,
        path: &'static str,
        request: Q,
        leader: Leader,
        repeat: Repeat,
    ) -> Result<A, Fault>
    where
        Q: Message + Clone + Sync + 'static,
        A: Message + Default + 'static,
    {
        let exchange = |connection: Connection| {
            let request = request.clone();
            async move { connection.call(path, request, leader).await }.boxed()
        };
        self.ask(repeat, exchange).await
    }

    /// Like `call`, for any exchange with a member.
    pub(crate) async fn ask<A>(
        &self,
        repeat: Repeat,
        exchange: impl Fn(Connection) -> BoxFuture<'static, Result<A, Fault>> + Send + Sync,
    ) -> Result<A, Fault> {
        let mut worst: Option<Fault> = None;
        for _ in 0..self.options.endpoints.get().len() {
            let (connection, changes) = self.connection().await;
            let answer = match connection {
                Ok(connection) => exchange(connection).await,
                Err(fault) => Err(fault),
            };
            let fault = match answer {
                Err(fault) if fault.is_of_the_member() => fault,
                answer => return answer,
            };
            self.leave(changes);
            if repeat == Repeat::IfNothingHappened && !fault.nothing_happened() {
                return Err(fault);
            }
            // A member that answers says more than one that cannot be reached.
            worst = match worst {
                Some(known) if matches!(fault, Fault::Unreachable(_)) => Some(known),
                _ => Some(fault),
            };
        }
        Err(worst.expect("there is an endpoint, see EtcdOptions::check"))
    }

    /// A connection to the current member, and the number of changes until it. Calls do not wait for
    /// each other here: all of them would wait for a silent member, one after the other.
    async fn connection(&self) -> (Result<Connection, Fault>, u64) {
        let (endpoint, changes) = {
            let current = self.current();
            if let Some(connection) = &current.connection {
                return (Ok(connection.clone()), current.changes);
            }
            (current.endpoint, current.changes)
        };
        let opened = self.open(endpoint).await;
        let mut current = self.current();
        if let (Ok(connection), true) = (&opened, current.changes == changes) {
            current.connection.get_or_insert_with(|| connection.clone());
        }
        (opened, changes)
    }

    /// A connection of its own to an endpoint, counted around. An unread watch on a shared
    /// connection would use up the connection's window, and stop all other calls.
    pub(crate) async fn open(&self, endpoint: usize) -> Result<Connection, Fault> {
        let endpoints = self.options.endpoints.get();
        let endpoint = &endpoints[endpoint % endpoints.len()];
        Connection::open(&self.options, endpoint, Arc::clone(&self.clock)).await
    }

    /// Uses another member from now on, or a new connection if there is only one.
    pub(crate) fn avoid_current(&self) {
        let changes = self.current().changes;
        self.leave(changes);
    }

    /// Changes the member, unless another call has done so.
    fn leave(&self, changes: u64) {
        let mut current = self.current();
        if current.changes == changes {
            current.changes += 1;
            current.endpoint += 1;
            current.connection = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        let current = self.current.lock();
        current.expect("no one panics while holding the member")
    }
}
