//! The node's own certificate authority and the API's certificate, created at the first start.
//!
//! ```text
//!   tls/ca.pem, tls/ca.key      the CA; only root may read its key
//!   tls/agent.pem, agent.key    what the agent proves itself to other members with
//!   api/chain.pem, api/key.pem  what the API serves; the key is the API user's
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use node::Paths;
use node::cluster::AGENT_DOMAIN;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
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

impl ApiCertificate {
    /// Waits until the agent has created the certificate, at its first start.
    pub(crate) async fn wait_for(&self) {
        let mut is_told = false;
        while !self.chain.exists() || !self.key.exists() {
            if !is_told {
                tracing::info!("waiting until the agent has made the certificate");
            }
            is_told = true;
            tokio::time::sleep(std::time::Duration::from_millis(LOOK_MS)).await;
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
        let (ca, issuer) = authority(host, &tls).await?;
        let key = KeyPair::generate().context("making a key")?;
        let certificate = parameters(config)?.signed_by(&key, &issuer)?;
        let chain = format!("{}{ca}", certificate.pem());
        host.write(&served.key, key.serialize_pem().as_bytes(), 0o600)
            .await?;
        host.chown(&served.key, uid, gid).await?;
        host.write(&served.chain, chain.as_bytes(), 0o644).await?;
    }
    fingerprint(&served.chain)
}

/// The agent's certificate, its key, and the CA's certificate, as PEM; what is missing is created.
pub(super) async fn ensure_agent(config: &Config, host: &SharedHost) -> Result<[Vec<u8>; 3]> {
    let tls = config.paths.tls();
    let (certificate_path, key_path) = (tls.join("agent.pem"), tls.join("agent.key"));
    let (ca, issuer) = authority(host, &tls).await?;
    let exists = host.stat(&certificate_path).await?.is_some();
    if !exists || host.stat(&key_path).await?.is_none() {
        let key = KeyPair::generate().context("making a key")?;
        let name = format!("{}{AGENT_DOMAIN}", config.node);
        let certificate = agent_parameters(&name)?.signed_by(&key, &issuer)?;
        host.write(&key_path, key.serialize_pem().as_bytes(), 0o600)
            .await?;
        host.write(&certificate_path, certificate.pem().as_bytes(), 0o644)
            .await?;
    }
    let (certificate, key) = (host.read(&certificate_path), host.read(&key_path));
    Ok([certificate.await?, key.await?, ca.into_bytes()])
}

/// Other agents connect to it, and it connects to them.
fn agent_parameters(name: &str) -> Result<CertificateParams> {
    let mut params = named(vec![name.to_owned()], name)?;
    let both = [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.extended_key_usages = both.to_vec();
    Ok(params)
}

/// The CA's certificate as PEM, and a signer with its key; both are created if missing.
async fn authority(host: &SharedHost, tls: &Path) -> Result<(String, Issuer<'static, KeyPair>)> {
    let (certificate_path, key_path) = (tls.join("ca.pem"), tls.join("ca.key"));
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Ostler");
    name.push(DnType::CommonName, "Ostler node CA");
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let exists = host.stat(&certificate_path).await?.is_some();
    if exists && host.stat(&key_path).await?.is_some() {
        let pem = String::from_utf8(host.read(&certificate_path).await?)?;
        let key = KeyPair::from_pem(&String::from_utf8(host.read(&key_path).await?)?)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key)?;
        return Ok((pem, issuer));
    }
    let key = KeyPair::generate().context("making a key")?;
    let pem = params.self_signed(&key)?.pem();
    host.write(&key_path, key.serialize_pem().as_bytes(), 0o600)
        .await?;
    host.write(&certificate_path, pem.as_bytes(), 0o644).await?;
    Ok((pem.clone(), Issuer::from_ca_cert_pem(&pem, key)?))
}

fn parameters(config: &Config) -> Result<CertificateParams> {
    let node = config.node.as_str();
    let names = [node, "localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = named(names.to_vec(), node)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn named(names: Vec<String>, subject: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Ostler");
    name.push(DnType::CommonName, subject);
    params.distinguished_name = name;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

pub(super) fn fingerprint(chain: &Path) -> Result<String> {
    let certificate = CertificateDer::from_pem_file(chain)
        .with_context(|| format!("reading {}", chain.display()))?;
    let digest = digest(&SHA256, &certificate);
    Ok(model::text::fingerprint(digest.as_ref()))
}
