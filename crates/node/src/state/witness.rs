//! The witness's own side: an etcd that votes when it should, and what it is served with.
//!
//! ```text
//!   witness.json                        the cluster, its etcd, the server that runs here
//!   tls/etcd-ca.pem                     whom it trusts; it has no key of an authority
//!   tls/etcd.pem, tls/etcd-server.pem   its certificates, from its record
//!   etcd/                               as on a node
//! ```
//!
//! It has no tasks: each round compares what is with what should be, and does the next thing. A crash
//! anywhere is followed by another round.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Clock, Error, NodeName};
use serde::{Deserialize, Serialize};
use store::{
    Endpoints, EtcdMember, EtcdOptions, EtcdStore, EtcdVoters, Prefix, Read, SqliteStore,
    StoreError, list_all,
};
use sys::SharedHost;
use tracing::{info, warn};

use super::server::EtcdServer;
use super::{Server, StateOptions, Witness, etcd_options};
use crate::Paths;
use crate::membership::{
    Contact, Roster, Turn, VERSION, WitnessApplication, apply_as_witness, change, endpoints,
    witness_turn,
};
use crate::pki::{PairPaths, new_key};

/// The pause between two rounds.
const LOOK: Duration = Duration::from_secs(2);

/// What this machine is to the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Own {
    v: u32,
    cluster: String,
    name: NodeName,
    /// Where its etcd listens.
    address: String,
    /// The nodes' etcd.
    endpoints: Vec<String>,
    /// While it votes, or is about to.
    server: Option<Server>,
}

impl Own {
    async fn read(host: &SharedHost, paths: &Paths) -> Result<Option<Self>, Error> {
        let path = paths.witness();
        let text = match host.read(&path).await {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let own = serde_json::from_slice(&text);
        own.map(Some)
            .map_err(|error| Error::unavailable(format!("{}: {error}", path.display())))
    }

    async fn write(&self, host: &SharedHost, paths: &Paths) -> Result<(), Error> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::bug(format!("what a witness is: {error}")))?;
        Ok(host.write(&paths.witness(), &text, 0o600).await?)
    }
}

/// Makes this machine the witness of a cluster. Returns the cluster's name.
pub async fn enlist(
    options: &StateOptions,
    contact: &Contact,
    password: &str,
    address: IpAddr,
) -> Result<String, Error> {
    let StateOptions {
        node: name,
        paths,
        host,
        clock,
        ..
    } = options;
    if let Some(own) = Own::read(host, paths).await? {
        let text = format!("this machine is the witness of '{}' already", own.cluster);
        return Err(Error::conflict(text));
    }
    check_no_node(options).await?;
    let tls = paths.tls();
    host.create_dir(&paths.state(), 0o755).await?;
    host.create_dir(&tls, 0o700).await?;
    let keys = [
        PairPaths::etcd_client(&tls),
        PairPaths::witness_server(&tls),
    ];
    let [client, server] = [new_key()?, new_key()?];
    for (at, key) in keys.iter().zip([&client, &server]) {
        let key = key.serialize_pem();
        host.write(&at.key, key.as_bytes(), 0o600).await?;
    }
    let application = WitnessApplication {
        v: VERSION,
        token: String::new(),
        name: name.clone(),
        address: address.to_string(),
        client_key: client.public_key_pem(),
        server_key: server.public_key_pem(),
        now: clock.wall(),
    };
    let admission = apply_as_witness(&**clock, contact, password, &application).await?;
    let authority = PairPaths::etcd_authority(&tls).certificate;
    let trusted = admission.authority.as_bytes();
    host.write(&authority, trusted, 0o644).await?;
    write_certificates(host, paths, &admission.witness).await?;
    let own = Own {
        v: VERSION,
        cluster: admission.cluster,
        name: name.clone(),
        address: address.to_string(),
        endpoints: admission.endpoints,
        server: None,
    };
    own.write(host, paths).await?;
    Ok(own.cluster)
}

/// A node that was just installed has nothing that matters; its agent must have been stopped for good.
async fn check_no_node(options: &StateOptions) -> Result<(), Error> {
    let StateOptions {
        paths, host, clock, ..
    } = options;
    if host.stat(&paths.store_pointer()).await?.is_some() {
        return Err(Error::conflict("this machine is a node of a cluster"));
    }
    if host.stat(&paths.database()).await?.is_none() {
        return Ok(());
    }
    let file = SqliteStore::open(paths.database(), clock.clone()).map_err(|error| {
        Error::conflict(format!(
            "Ostler's agent runs here; end it for good (systemctl disable --now ostler-api \
             ostler-node): {error}"
        ))
    })?;
    let guests = Prefix::below("guest").expect("a constant that is a key");
    let (guests, _) = list_all(&file, &guests, Read::Local).await?;
    match guests.is_empty() {
        true => Ok(()),
        false => Err(Error::conflict(
            "this machine is a node with guests: a witness has none",
        )),
    }
}

/// Refuses to be a node on the machine of a witness.
pub async fn check_no_witness(host: &SharedHost, paths: &Paths) -> Result<(), Error> {
    match Own::read(host, paths).await? {
        None => Ok(()),
        Some(own) => Err(Error::conflict(format!(
            "this machine is the witness of '{}', and no node (ostler witness leave)",
            own.cluster
        ))),
    }
}

/// Ends etcd on this machine, and forgets the cluster. False: it was no witness.
pub async fn dismiss(options: &StateOptions) -> Result<bool, Error> {
    let is_witness = Own::read(&options.host, &options.paths).await?.is_some();
    if is_witness {
        forget(&EtcdServer::of(options)).await?;
    }
    Ok(is_witness)
}

async fn forget(etcd: &EtcdServer) -> Result<(), Error> {
    etcd.discard().await?;
    etcd.host.remove_tree(&etcd.paths.tls()).await?;
    etcd.host.remove(&etcd.paths.witness()).await?;
    Ok(())
}

/// Returns whether they were others.
async fn write_certificates(
    host: &SharedHost,
    paths: &Paths,
    record: &Witness,
) -> Result<bool, Error> {
    let tls = paths.tls();
    let mut is_other = false;
    for (at, given) in [
        (PairPaths::etcd_client(&tls), &record.client_certificate),
        (PairPaths::witness_server(&tls), &record.server_certificate),
    ] {
        let known = host.read(&at.certificate).await.unwrap_or_default();
        if known != given.as_bytes() {
            host.write(&at.certificate, given.as_bytes(), 0o644).await?;
            is_other = true;
        }
    }
    Ok(is_other)
}

/// Serves the cluster until it removes the witness.
pub async fn serve_as_witness(options: StateOptions) -> Result<(), Error> {
    let none =
        || Error::conflict("this machine is no witness: run 'ostler witness join' on it first");
    let own = Own::read(&options.host, &options.paths).await?;
    let mut witness = WitnessServer {
        etcd: Arc::new(EtcdServer::of(&options)),
        clock: options.clock.clone(),
        own: own.ok_or_else(none)?,
        store: None,
    };
    let mut last = String::new();
    loop {
        let said = match witness.round().await {
            Ok(true) => String::new(),
            Ok(false) => {
                info!("the cluster has removed its witness");
                return forget(&witness.etcd).await;
            }
            Err(error) => {
                witness.store = None;
                error.to_string()
            }
        };
        if !said.is_empty() && said != last {
            warn!(error = said, "the witness cannot do its part now");
        }
        last = said;
        witness.clock.sleep(LOOK).await;
    }
}

struct WitnessServer {
    etcd: Arc<EtcdServer>,
    clock: Arc<dyn Clock>,
    own: Own,
    /// Open after the first round.
    store: Option<EtcdStore>,
}

impl WitnessServer {
    /// False: the cluster has no such witness any more.
    async fn round(&mut self) -> Result<bool, Error> {
        if let Some(server) = &self.own.server {
            self.etcd.start(server).await?;
        }
        if self.store.is_none() {
            let store = EtcdStore::connect(self.options().await?, self.clock.clone()).await;
            self.store = Some(store?);
        }
        let Some(store) = &self.store else {
            return Ok(true);
        };
        let roster = Roster::read(store).await?;
        let record = roster
            .witness()
            .filter(|record| record.name == self.own.name);
        let Some(record) = record.cloned() else {
            return Ok(false);
        };
        self.keep_certificates(&record).await?;
        if !record.is_there {
            self.write(|witness| witness.is_there = true).await?;
            info!(cluster = self.own.cluster, "the cluster has its witness");
        }
        let members = roster.members.values().map(|member| &member.data);
        let voters = endpoints(&self.own.name, members);
        if self.own.endpoints != voters {
            self.own.endpoints = voters;
            self.save().await?;
        }
        self.vote(&roster, record.votes > 0).await?;
        Ok(true)
    }

    /// The nodes' etcd comes first: after a forced quorum they have the later generation.
    async fn options(&self) -> Result<EtcdOptions, Error> {
        let mut endpoints = self.own.endpoints.clone();
        endpoints.extend(self.own.server.iter().map(Server::client_url));
        etcd_options(&self.etcd, Endpoints::new(endpoints)).await
    }

    async fn save(&self) -> Result<(), Error> {
        self.own.write(&self.etcd.host, &self.etcd.paths).await
    }

    async fn write(&self, change_witness: impl Fn(&mut Witness)) -> Result<(), Error> {
        let Some(store) = &self.store else {
            return Err(StoreError::NoQuorum.into());
        };
        let changed = change(store, |roster| {
            change_witness(roster.witness_mut()?);
            Ok(())
        });
        changed.await.map(drop)
    }

    /// Uses what the members have put into the record.
    async fn keep_certificates(&self, record: &Witness) -> Result<(), Error> {
        let (host, paths) = (&self.etcd.host, &self.etcd.paths);
        let is_other = write_certificates(host, paths, record).await?;
        if is_other {
            self.etcd.use_client_certificate().await?;
        }
        if self.own.server.is_none() {
            return Ok(());
        }
        let files = self.etcd.certificates();
        if is_other {
            let server = PairPaths::witness_server(&paths.tls()).read(host).await?;
            let certificate = server.certificate.as_bytes();
            host.write(&files.server.certificate, certificate, 0o644)
                .await?;
        }
        let revocations = revocations(record)?;
        if host.read(&files.revoked).await.unwrap_or_default() != revocations {
            host.write(&files.revoked, &revocations, 0o644).await?;
        }
        Ok(())
    }

    /// Brings its vote to what it should be, one thing a round.
    async fn vote(&mut self, roster: &Roster, has_vote: bool) -> Result<(), Error> {
        let voters = EtcdVoters::new(self.options().await?, self.clock.clone())?;
        let listed = voters.list().await?;
        let peer_url = Server::first(self.own.address.clone()).peer_url();
        let own = listed.iter().find(|member| member.peer_url == peer_url);
        let is_lost = own.is_some() != self.own.server.is_some();
        match (witness_turn(roster), own) {
            // A member without its data, or data of an etcd that goes on without it.
            (_, own) if is_lost => self.begin_anew(&voters, own, has_vote).await,
            (Turn::Unvote, own) => self.begin_anew(&voters, own, has_vote).await,
            (Turn::Vote, None) => self.learn(&voters, &peer_url, roster).await,
            (Turn::Vote, Some(own)) => {
                // etcd refuses one that is behind, without a reason in a field.
                if own.is_learner && voters.promote(own.id).await.is_err() {
                    return Ok(());
                }
                self.write(|witness| witness.votes = 1).await?;
                info!("the witness votes");
                Ok(())
            }
            (Turn::Nothing, _) => Ok(()),
        }
    }

    async fn begin_anew(
        &mut self,
        voters: &EtcdVoters,
        member: Option<&EtcdMember>,
        has_vote: bool,
    ) -> Result<(), Error> {
        if let Some(member) = member {
            voters.remove(member.id).await?;
        }
        self.own.server = None;
        self.save().await?;
        self.etcd.discard().await?;
        if has_vote {
            self.write(|witness| witness.votes = 0).await?;
            info!("the witness votes no more");
        }
        Ok(())
    }

    async fn learn(
        &mut self,
        voters: &EtcdVoters,
        peer_url: &str,
        roster: &Roster,
    ) -> Result<(), Error> {
        voters.add_learner(peer_url).await?;
        let listed = voters.list().await?;
        let server = Server::joining(&self.own.address, &self.own.name, &listed);
        self.etcd.discard().await?;
        let record = roster.witness().ok_or_else(|| Error::bug("no witness"))?;
        self.etcd.prepare_as_witness(record).await?;
        self.own.server = Some(server.clone());
        self.save().await?;
        self.etcd.start(&server).await
    }
}

fn revocations(record: &Witness) -> Result<Vec<u8>, Error> {
    let decoded = STANDARD.decode(&record.revocations);
    decoded.map_err(|error| Error::unavailable(format!("the revocations in the record: {error}")))
}

impl EtcdServer {
    /// Makes folders and certificates for a member whose certificates others have signed.
    async fn prepare_as_witness(&self, record: &Witness) -> Result<(), Error> {
        let tls = self.paths.tls();
        self.make_folders().await?;
        let server = PairPaths::witness_server(&tls).read(&self.host).await?;
        let authority = PairPaths::etcd_authority(&tls).certificate;
        let trusted = self.host.read(&authority).await?;
        let files = self.certificates();
        files
            .write_server(&server, &trusted, &revocations(record)?, self.user()?)
            .await
    }
}
