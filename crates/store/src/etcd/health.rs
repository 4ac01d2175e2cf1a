//! What a server of etcd reports of itself, and how fast it is.

use std::sync::Arc;
use std::time::Duration;

use model::Clock;

use super::EtcdOptions;
use super::connection::Leader;
use super::fault::Fault;
use super::members::{Members, Repeat};
use super::message::{
    PutRequest, RangeRequest, Request, STATUS, StatusRequest, StatusResponse, TXN, TxnRequest,
    TxnResponse,
};
use super::space::Names;
use crate::StoreError;

/// The health of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdHealth {
    /// `3.6.16`
    pub version: String,
    /// The size of its data file.
    pub db_bytes: u64,
    /// It has a copy, and no vote.
    pub is_learner: bool,
    /// What it complains of: no space, a damaged file.
    pub alarms: Vec<String>,
    /// None: it has no leader, so nothing can be read linearly or written.
    pub speed: Option<EtcdSpeed>,
}

/// How long an answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EtcdSpeed {
    /// A linear read, for which a majority is asked.
    pub read: Duration,
    /// A write, which a majority has synced to its disks.
    pub write: Duration,
}

/// Of so many attempts the median counts: one may meet another server's snapshot.
const ATTEMPTS: usize = 3;

impl EtcdHealth {
    /// Whether the server at the options' first endpoint answers, with or without a majority.
    pub async fn answers(options: EtcdOptions, clock: Arc<dyn Clock>) -> Result<bool, StoreError> {
        options.check()?;
        let server = Server {
            members: Members::new(options, Arc::clone(&clock)),
            clock,
        };
        Ok(server.status().await.is_ok())
    }

    /// Asks the server at the options' first endpoint. Writes a key that is no part of the store.
    ///
    /// `Unavailable` if it does not answer.
    pub async fn of(options: EtcdOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        options.check()?;
        let server = Server {
            members: Members::new(options, Arc::clone(&clock)),
            clock,
        };
        let status = server.status().await.map_err(Fault::of_read)?;
        let speed = match status.leader {
            0 => None,
            _ => server.speed().await.ok(),
        };
        Ok(Self {
            version: status.version,
            db_bytes: status.db_bytes.try_into().unwrap_or(0),
            is_learner: status.is_learner,
            alarms: status.errors,
            speed,
        })
    }
}

struct Server {
    members: Members,
    clock: Arc<dyn Clock>,
}

impl Server {
    async fn status(&self) -> Result<StatusResponse, Fault> {
        let (leader, repeat) = (Leader::NotNeeded, Repeat::Always);
        let members = &self.members;
        members.call(STATUS, StatusRequest {}, leader, repeat).await
    }

    async fn speed(&self) -> Result<EtcdSpeed, Fault> {
        let options = self.members.options();
        let key = Names::new(&options.namespace).probe(&options.agent);
        let read = Request::Range(RangeRequest {
            key: key.clone(),
            ..RangeRequest::default()
        });
        let write = Request::Put(PutRequest {
            key,
            value: b"x".to_vec(),
            lease: 0,
        });
        Ok(EtcdSpeed {
            read: self.median(read).await?,
            write: self.median(write).await?,
        })
    }

    async fn median(&self, request: Request) -> Result<Duration, Fault> {
        let request = TxnRequest {
            success: vec![request.into()],
            ..TxnRequest::default()
        };
        let mut times = Vec::new();
        for _ in 0..ATTEMPTS {
            let begun = self.clock.monotonic();
            let (leader, repeat) = (Leader::Required, Repeat::Always);
            let call = self.members.call(TXN, request.clone(), leader, repeat);
            let _: TxnResponse = call.await?;
            times.push(self.clock.monotonic() - begun);
        }
        times.sort();
        Ok(times[ATTEMPTS / 2])
    }
}
