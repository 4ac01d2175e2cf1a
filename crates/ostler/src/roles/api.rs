//! `ostler api`

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http::{Api, Index, Listener, Served, ServerOptions};
use proto::wire::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sys::SystemClock;
use tracing::{info, warn};

use super::certificate::{ApiCertificate, fingerprint};
use crate::config::Config;

/// Switches to the API's user if root started it. Must run before there is a second thread.
pub(crate) fn become_api_user(config: &Config) -> Result<()> {
    let (uid, gid) = config.api_user;
    if uid == 0 {
        bail!("the API must not run as root: ostler.toml's 'api-user' names another user");
    }
    if rustix::process::geteuid().is_root() {
        sys::drop_privileges(uid, gid).context("becoming the user of the API")?;
    }
    Ok(())
}

/// Descriptors for all connections that the front admits and for their consoles, with room to
/// spare: the default of 1,024 is not enough.
const DESCRIPTORS: u64 = 65_536;

/// Raises the limit of descriptors as far as needed and allowed.
fn allow_descriptors() {
    let limits = getrlimit(Resource::Nofile);
    let current = limits
        .maximum
        .map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if limits.current.is_none_or(|now| now >= current) {
        return;
    }
    let raised = Rlimit {
        current: Some(current),
        maximum: limits.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "cannot raise the limit of open files");
    }
}

pub(crate) async fn api(config: &Config) -> Result<()> {
    allow_descriptors();
    let certificate = ApiCertificate::of(&config.paths);
    certificate.wait_for().await;
    let served = Served::read(&certificate.chain, &certificate.key)?;
    let tls = http::tls_acceptor(served.clone())?;
    let clock = Arc::new(SystemClock::new());
    let client = Client::new(config.paths.socket());
    let fingerprint = fingerprint(&certificate.chain)?;
    let index =
        Index::new(clock.clone()).with_fingerprint(config.node.as_str(), fingerprint.clone());
    let index = Arc::new(index);
    let listener = Listener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    info!(address = %config.listen, "the API is ready");
    let api = Arc::new(Api::new(client.clone(), clock, index.clone(), &config.node));
    tokio::select! {
        never = index.follow(&client) => match never {},
        () = http::serve(listener, ServerOptions { tls: Some(tls) }, api) => Ok(()),
        replaced = follow_certificate(&certificate, &served, &index, config, fingerprint) => replaced,
        ended = super::asked_to_end() => Ok(ended?),
    }
}

/// Serves each renewed certificate. Returns when there is one for another key: the node has joined or
/// left a cluster, and the API begins anew.
async fn follow_certificate(
    certificate: &ApiCertificate,
    served: &Served,
    index: &Index,
    config: &Config,
    mut fingerprint: String,
) -> Result<()> {
    loop {
        let key = std::fs::read(&certificate.key)?;
        fingerprint = certificate.changed(&fingerprint).await;
        if std::fs::read(&certificate.key).ok() != Some(key) {
            info!("there is another certificate, the API ends to be started with it");
            return Ok(());
        }
        served.replace(&certificate.chain, &certificate.key)?;
        index.show_fingerprint(config.node.as_str(), fingerprint.clone());
        info!(fingerprint, "the certificate was renewed");
    }
}
