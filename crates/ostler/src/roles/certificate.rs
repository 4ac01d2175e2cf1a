//! The certificates of the API and of the agent, made at the first start (`node::pki`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use node::Paths;
use node::pki::{Authority, Leaf, Pair, PairPaths};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sys::SharedHost;

use crate::config::Config;

/// The paths of the API's certificate and key.
pub(crate) struct ApiCertificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl ApiCertificate {
    pub(crate) fn of(paths: &Paths) -> Self {
        let chain = paths.served_certificate();
        Self {
            key: chain.with_file_name("key.pem"),
            chain,
        }
    }
}

/// How often the API checks for its certificate.
const LOOK_MS: u64 = 50;

/// How often it checks whether there is another one.
const CHANGE_LOOK: Duration = Duration::from_secs(1);

impl ApiCertificate {
    /// Waits until the agent has created the certificate, at its first start.
    pub(crate) async fn wait_for(&self) {
        let mut is_told = false;
        while !self.chain.exists() || !self.key.exists() {
            if !is_told {
                tracing::info!("waiting until the agent has made the certificate");
            }
            is_told = true;
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }

    /// Waits until there is another certificate, and returns its fingerprint; of one that was
    /// removed, an empty one.
    pub(crate) async fn changed(&self, served: &str) -> String {
        loop {
            tokio::time::sleep(CHANGE_LOOK).await;
            let now = fingerprint(&self.chain).unwrap_or_default();
            if now != served {
                return now;
            }
        }
    }
}

/// Creates what is missing. Returns the fingerprint of the API's certificate, in the format of
/// browsers.
pub(crate) async fn ensure(config: &Config, host: &SharedHost) -> Result<String> {
    let tls = config.paths.tls();
    let served = ApiCertificate::of(&config.paths);
    let folder = served
        .chain
        .parent()
        .context("a file has a folder")?
        .to_owned();
    host.create_dir(&tls, 0o700).await?;
    host.create_dir(&folder, 0o700).await?;
    let (uid, gid) = config.api_user;
    host.chown(&folder, uid, gid).await?;
    if host.stat(&served.chain).await?.is_none() || host.stat(&served.key).await?.is_none() {
        let authority = authority(config, host).await?;
        let made = authority.issue(Leaf::Api(&config.node))?;
        let chain = format!("{}{}", made.certificate, authority.certificate);
        host.write(&served.key, made.key.as_bytes(), 0o600).await?;
        host.chown(&served.key, uid, gid).await?;
        host.write(&served.chain, chain.as_bytes(), 0o644).await?;
    }
    fingerprint(&served.chain)
}

/// The agent's certificate and key, which are made if they are missing, and the authority's
/// certificate.
pub(super) async fn ensure_agent(config: &Config, host: &SharedHost) -> Result<(Pair, String)> {
    let authority = authority(config, host).await?;
    let agent = PairPaths::agent(&config.paths.tls());
    if !agent.exist(host).await? {
        let made = authority.issue(Leaf::Agent(&config.node))?;
        agent.write(host, &made).await?;
    }
    Ok((agent.read(host).await?, authority.certificate))
}

async fn authority(config: &Config, host: &SharedHost) -> Result<Authority> {
    let at = PairPaths::authority(&config.paths.tls());
    Ok(Authority::ensure(host, &at, "Ostler node CA").await?)
}

pub(super) fn fingerprint(chain: &Path) -> Result<String> {
    let certificate = CertificateDer::from_pem_file(chain)
        .with_context(|| format!("reading {}", chain.display()))?;
    let digest = digest(&SHA256, &certificate);
    Ok(model::text::fingerprint(digest.as_ref()))
}
