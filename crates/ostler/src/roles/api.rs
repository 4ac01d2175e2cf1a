//! `ostler api`

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http::{Api, Index, Listener, ServerOptions};
use proto::wire::Client;
use sys::SystemClock;
use tracing::info;

use super::certificate::{ApiCertificate, fingerprint};
use crate::config::Config;

/// Becomes the user of the API where root started it. Before there is a second thread.
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

pub(crate) async fn api(config: &Config) -> Result<()> {
    let certificate = ApiCertificate::of(&config.paths);
    certificate.wait_for().await;
    let tls = http::tls_acceptor(&certificate.chain, &certificate.key)?;
    let clock = Arc::new(SystemClock::new());
    let client = Client::new(config.paths.socket());
    let fingerprint = fingerprint(&certificate.chain)?;
    let index = Arc::new(Index::new(clock.clone()).with_fingerprint(fingerprint));
    let listener = Listener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    info!(address = %config.listen, "the API is ready");
    let api = Arc::new(Api::new(client.clone(), clock, index.clone(), &config.node));
    tokio::select! {
        never = index.follow(&client) => match never {},
        () = http::serve(listener, ServerOptions { tls: Some(tls) }, api) => Ok(()),
        ended = super::asked_to_end() => Ok(ended?),
    }
}
