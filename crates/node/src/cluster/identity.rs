//! What an agent proves itself with, and what it makes of another agent's certificate.

use std::sync::{Arc, PoisonError, RwLock};

use auth::vouch::VoucherKey;
use aws_lc_rs::digest::{SHA256, digest};
use model::text::fingerprint;
use model::{Error, NodeName};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Agents' certificates are for `<node>.agent`. Names of nodes have no dot, so no certificate of an
/// API, which the same authority signs, is one of an agent.
pub const AGENT_DOMAIN: &str = ".agent";

/// An agent's certificate and key, and the authority that it accepts others by.
pub struct AgentIdentity {
    pub name: NodeName,
    pub voucher_key: VoucherKey,
    present: RwLock<Proof>,
}

/// A certificate as it is shown in new connections.
#[derive(Clone)]
struct Proof {
    /// The SHA-256 of the certificate, in pairs of digits.
    fingerprint: String,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl AgentIdentity {
    /// Reads a certificate for `<name>.agent`, its key (ECDSA over P-256), and the certificates of
    /// the cluster's authority, each as PEM.
    pub fn from_pem(
        name: NodeName,
        chain: &[u8],
        key: &[u8],
        authorities: &[u8],
    ) -> Result<Self, Error> {
        let unusable = |what: &str, error: &dyn std::error::Error| {
            Error::unavailable(format!("the agent's {what}: {}", Error::chain(error)))
        };
        let chain = certificates(chain).map_err(|error| unusable("certificate", &error))?;
        let own = chain.first().and_then(|own| Presented::of(own));
        let own = own.filter(|own| own.name == name).ok_or_else(|| {
            Error::unavailable(format!("the agent's certificate is not for '{name}'"))
        })?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unusable("key", &error))?;
        let voucher_key = VoucherKey::new(key.secret_der());
        let voucher_key = voucher_key
            .ok_or_else(|| Error::unavailable("the agent's key is not ECDSA over P-256"))?;
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities).map_err(|e| unusable("authority", &e))? {
            let added = roots.add(authority);
            added.map_err(|error| unusable("authority", &error))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(default_provider());
        let tls = |error: rustls::Error| unusable("certificate", &error);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| unusable("authority", &error))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(tls)?;
        // A resumed session would not prove again that its certificate is valid.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(tls)?;
        client.resumption = Resumption::disabled();
        Ok(Self {
            name,
            voucher_key,
            present: RwLock::new(Proof {
                fingerprint: own.fingerprint,
                server: Arc::new(server),
                client: Arc::new(client),
            }),
        })
    }

    /// Shows another certificate for the same key in new connections. The parts are those of
    /// `from_pem`.
    pub fn renew(&self, chain: &[u8], key: &[u8], authorities: &[u8]) -> Result<(), Error> {
        let renewed = Self::from_pem(self.name.clone(), chain, key, authorities)?.present();
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    fn present(&self) -> Proof {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        present.clone()
    }

    /// The SHA-256 of the certificate, in pairs of digits.
    pub fn fingerprint(&self) -> String {
        self.present().fingerprint
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.present().server
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        self.present().client
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// The name that a node's certificate is verified for.
pub(super) fn server_name(node: &NodeName) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(format!("{node}{AGENT_DOMAIN}"))
        .map_err(|error| Error::bug(format!("the name of node '{node}': {error}")))
}

/// A certificate that a peer has proven to have the key of.
pub(super) struct Presented {
    pub(super) name: NodeName,
    pub(super) fingerprint: String,
    /// The public key, as an elliptic curve's point.
    pub(super) key: Arc<[u8]>,
}

impl Presented {
    /// None for a certificate that is not an agent's.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let [GeneralName::DNSName(name)] = names.value.general_names.as_slice() else {
            return None;
        };
        let name = NodeName::new(name.strip_suffix(AGENT_DOMAIN)?).ok()?;
        let key = &parsed.public_key().subject_public_key.data;
        Some(Self {
            name,
            fingerprint: fingerprint(digest(&SHA256, certificate).as_ref()),
            key: Arc::from(&**key),
        })
    }
}
