//! The certificates of etcd. Their authority is one of its own: no certificate of an API or of an
//! agent opens the state.
//!
//! ```text
//!   tls/etcd-ca.key                   only root may read it
//!   etcd/tls/ca.pem, node.pem, node.key   etcd's; its server, its peers and our client use them
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use model::Error;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sys::SharedHost;

use crate::Paths;

/// Where they are.
pub(super) struct Certificates {
    authority_key: PathBuf,
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificates {
    pub(super) fn of(paths: &Paths) -> Self {
        let folder = paths.etcd().join("tls");
        Self {
            authority_key: paths.tls().join("etcd-ca.key"),
            authority: folder.join("ca.pem"),
            certificate: folder.join("node.pem"),
            key: folder.join("node.key"),
        }
    }

    /// Makes a new authority, and a certificate for a server at this address, an IP address or a
    /// host's name. The folders must exist; `owner` is etcd's user.
    pub(super) async fn make(
        &self,
        host: &SharedHost,
        address: &str,
        owner: (u32, u32),
    ) -> Result<(), Error> {
        let made = Made::new(address).map_err(|error| {
            Error::bug(format!("the certificates of etcd cannot be made: {error}"))
        })?;
        let files = [
            (&self.authority_key, &made.authority_key, 0o600),
            (&self.authority, &made.authority, 0o644),
            (&self.certificate, &made.certificate, 0o644),
            (&self.key, &made.key, 0o600),
        ];
        for (path, content, mode) in files {
            host.write(path, content.as_bytes(), mode).await?;
        }
        Ok(host.chown(&self.key, owner.0, owner.1).await?)
    }

    /// How our client of etcd proves itself, and whom it trusts.
    pub(super) async fn client(&self, host: &SharedHost) -> Result<Arc<ClientConfig>, Error> {
        let unusable = |what: &dyn std::fmt::Display| {
            Error::unavailable(format!("the certificates of etcd are unusable: {what}"))
        };
        let mut roots = RootCertStore::empty();
        let authority = host.read(&self.authority).await?;
        for certificate in CertificateDer::pem_slice_iter(&authority) {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let chain = host.read(&self.certificate).await?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let chain = chain.map_err(|error| unusable(&error))?;
        let key = host.read(&self.key).await?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable(&error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config
                    .with_root_certificates(roots)
                    .with_client_auth_cert(chain, key)
            });
        config.map(Arc::new).map_err(|error| unusable(&error))
    }
}

/// As PEM.
struct Made {
    authority_key: String,
    authority: String,
    certificate: String,
    key: String,
}

impl Made {
    fn new(address: &str) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Ostler etcd CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?.pem();
        let issuer = Issuer::from_params(&params, &authority_key);

        let mut params = CertificateParams::new(vec![address.to_owned()])?;
        params.distinguished_name = named("etcd");
        // A server to clients and peers, and a client of both.
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: params.signed_by(&key, &issuer)?.pem(),
            key: key.serialize_pem(),
            authority_key: authority_key.serialize_pem(),
            authority,
        })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::OrganizationName, "Ostler");
    names.push(DnType::CommonName, name);
    names
}
