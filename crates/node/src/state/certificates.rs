//! The certificates of this node's etcd, and how etcd is opened.
//!
//! ```text
//!   etcd/tls/ca.pem               whom etcd trusts
//!   etcd/tls/node.pem, node.key   what it serves, and shows its peers
//!   etcd/tls/revoked.crl          whom it trusts no more; read at each connection
//! ```

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use model::{Error, NodeName};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use store::SealingKeys;
use sys::SharedHost;

use crate::Paths;
use crate::pki::{Authority, Leaf, Pair, PairPaths, serial};

const AUTHORITY_NAME: &str = "Ostler etcd CA";

pub(super) struct Certificates {
    host: SharedHost,
    /// Of the agent's own certificates.
    tls: PathBuf,
    sealing_keys: PathBuf,
    pub(super) server: PairPaths,
    pub(super) trusted: PathBuf,
    pub(super) revoked: PathBuf,
}

impl Certificates {
    pub(super) fn of(host: &SharedHost, paths: &Paths) -> Self {
        let folder = paths.etcd().join("tls");
        Self {
            host: host.clone(),
            tls: paths.tls(),
            sealing_keys: paths.sealing_keys(),
            server: PairPaths::etcd_server(paths),
            trusted: folder.join("ca.pem"),
            revoked: folder.join("revoked.crl"),
        }
    }

    /// Makes etcd's authority, if there is none, and the certificate that the agent opens etcd with.
    pub(super) async fn ensure_client(&self, node: &NodeName) -> Result<(), Error> {
        let at = PairPaths::etcd_authority(&self.tls);
        let authority = Authority::ensure(&self.host, &at, AUTHORITY_NAME).await?;
        let client = PairPaths::etcd_client(&self.tls);
        if !client.exist(&self.host).await? {
            let made = authority.issue(Leaf::EtcdClient(node))?;
            client.write(&self.host, &made).await?;
        }
        Ok(())
    }

    /// The keys that seal secrets in etcd; made if there are none.
    pub(super) async fn ensure_sealing_keys(&self) -> Result<SealingKeys, Error> {
        if self.host.stat(&self.sealing_keys).await?.is_none() {
            let keys = SealingKeys::generate()?.to_string();
            self.host
                .write(&self.sealing_keys, keys.as_bytes(), 0o600)
                .await?;
        }
        self.sealing_keys().await
    }

    pub(super) async fn sealing_keys(&self) -> Result<SealingKeys, Error> {
        let text = self.host.read(&self.sealing_keys).await?;
        Ok(SealingKeys::parse(&String::from_utf8_lossy(&text))?)
    }

    /// Makes what a server at this address, an IP address or a host's name, needs. The folder must
    /// exist; `owner` is etcd's user.
    pub(super) async fn make_server(
        &self,
        address: &str,
        owner: (u32, u32),
        revoked: &[String],
    ) -> Result<(), Error> {
        let host = &self.host;
        let authority = Authority::open(host, &PairPaths::etcd_authority(&self.tls)).await?;
        let made = authority.issue(Leaf::EtcdServer(address))?;
        let trusted = authority.certificate.as_bytes();
        let revocations = authority.revoke(revoked)?;
        self.write_server(&made, trusted, &revocations, owner).await
    }

    pub(super) async fn write_server(
        &self,
        server: &Pair,
        trusted: &[u8],
        revocations: &[u8],
        owner: (u32, u32),
    ) -> Result<(), Error> {
        let host = &self.host;
        self.server.write(host, server).await?;
        host.chown(&self.server.key, owner.0, owner.1).await?;
        host.write(&self.trusted, trusted, 0o644).await?;
        Ok(host.write(&self.revoked, revocations, 0o644).await?)
    }

    pub(super) async fn write_revoked(&self, serials: &[String]) -> Result<(), Error> {
        let at = PairPaths::etcd_authority(&self.tls);
        let list = Authority::open(&self.host, &at).await?.revoke(serials)?;
        Ok(self.host.write(&self.revoked, &list, 0o644).await?)
    }

    /// The serial numbers of this node's certificates for etcd.
    pub(super) async fn serials(&self) -> Result<Vec<String>, Error> {
        let mut serials = Vec::new();
        for pair in [&PairPaths::etcd_client(&self.tls), &self.server] {
            if pair.exist(&self.host).await? {
                serials.push(serial(&pair.read(&self.host).await?.certificate)?);
            }
        }
        Ok(serials)
    }

    /// Has a client show what is in the file now.
    pub(super) async fn load_client(&self, shown: &ShownToEtcd) -> Result<(), Error> {
        let own = PairPaths::etcd_client(&self.tls).read(&self.host).await?;
        let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes());
        let key = key.map_err(|error| unusable(&error))?;
        let chain = certificates(own.certificate.as_bytes())?;
        let pair = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        shown.set(pair.map_err(|error| unusable(&error))?);
        Ok(())
    }

    /// How our client of etcd proves itself, and whom it trusts.
    pub(super) async fn client(&self, shown: Arc<ShownToEtcd>) -> Result<Arc<ClientConfig>, Error> {
        self.load_client(&shown).await?;
        let mut roots = RootCertStore::empty();
        let authority = PairPaths::etcd_authority(&self.tls).certificate;
        for certificate in certificates(&self.host.read(&authority).await?)? {
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| unusable(&error))?;
        let config = config.with_root_certificates(roots);
        Ok(Arc::new(config.with_client_cert_resolver(shown)))
    }
}

/// The certificate that this node's agent shows to etcd: one for all its connections, so that a store
/// that is open shows the new one after it was renewed.
#[derive(Debug, Default)]
pub(super) struct ShownToEtcd(RwLock<Option<Arc<CertifiedKey>>>);

impl ShownToEtcd {
    fn set(&self, pair: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pair));
    }
}

impl ResolvesClientCert for ShownToEtcd {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    let certificates: Result<_, _> = certificates.collect();
    certificates.map_err(|error| unusable(&error))
}

fn unusable(what: &dyn std::fmt::Display) -> Error {
    Error::unavailable(format!("the certificates of etcd are unusable: {what}"))
}
