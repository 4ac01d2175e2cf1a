//! Authorities and the certificates that they sign.
//!
//! ```text
//!   tls/ca.pem, ca.key              the nodes' authority: signs for APIs and agents
//!   tls/agent.pem, agent.key        what the agent proves itself to other members with
//!   tls/etcd-ca.pem, etcd-ca.key    etcd's authority: no certificate of an API or an agent opens the state
//!   tls/etcd.pem, etcd.key          what the agent opens etcd with
//!   tls/secrets.key                 what secrets in etcd are sealed with; only members have it
//!   etcd/tls/                       what this node's etcd has, see `state`
//!   api/chain.pem, api/key.pem      what the API serves; the key is the API user's
//! ```
//!
//! Every member has the keys of both authorities: root of one member is root of the cluster.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use model::text::hex;
use model::{Error, NodeName};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData, RevokedCertParams, SerialNumber, SubjectPublicKeyInfo,
};
use serde::{Deserialize, Serialize};
use sys::SharedHost;
use time::{Duration, OffsetDateTime};
use x509_parser::pem::Pem;

use crate::Paths;
use crate::cluster::AGENT_DOMAIN;

/// As Proxmox VE does.
const AUTHORITY_LASTS: Duration = Duration::days(3650);
const LEAF_LASTS: Duration = Duration::days(730);
/// Where a server of this node is reached from this node alone.
pub const LOOPBACK: &str = "127.0.0.1";
/// A certificate is valid for readers whose clock is behind by as much.
const BACKDATED: Duration = Duration::days(1);

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairPaths {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl PairPaths {
    fn in_folder(folder: &Path, name: &str) -> Self {
        Self {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        }
    }

    /// The nodes' authority.
    pub fn authority(tls: &Path) -> Self {
        Self::in_folder(tls, "ca")
    }

    pub fn agent(tls: &Path) -> Self {
        Self::in_folder(tls, "agent")
    }

    pub fn etcd_authority(tls: &Path) -> Self {
        Self::in_folder(tls, "etcd-ca")
    }

    /// What the agent opens etcd with.
    pub fn etcd_client(tls: &Path) -> Self {
        Self::in_folder(tls, "etcd")
    }

    /// What the API serves; the certificate is followed by its authority's.
    pub fn api(paths: &Paths) -> Self {
        let certificate = paths.served_certificate();
        Self {
            key: certificate.with_file_name("key.pem"),
            certificate,
        }
    }

    /// What this node's etcd serves and reaches its peers with.
    pub fn etcd_server(paths: &Paths) -> Self {
        Self::in_folder(&paths.etcd().join("tls"), "node")
    }

    /// The same of a witness, which keeps it while it does not vote.
    pub(crate) fn witness_server(tls: &Path) -> Self {
        Self::in_folder(tls, "etcd-server")
    }

    /// All that a member has in this folder, by name.
    pub fn of_member(tls: &Path) -> [(&'static str, Self); 4] {
        [
            ("ca", Self::authority(tls)),
            ("etcd-ca", Self::etcd_authority(tls)),
            ("etcd", Self::etcd_client(tls)),
            ("agent", Self::agent(tls)),
        ]
    }

    pub async fn exist(&self, host: &SharedHost) -> Result<bool, Error> {
        let certificate = host.stat(&self.certificate).await?;
        Ok(certificate.is_some() && host.stat(&self.key).await?.is_some())
    }

    pub async fn read(&self, host: &SharedHost) -> Result<Pair, Error> {
        Ok(Pair {
            certificate: text(&self.certificate, host.read(&self.certificate).await?)?,
            key: text(&self.key, host.read(&self.key).await?)?,
        })
    }

    /// Writes the key first: where there is a certificate, there is a key.
    pub async fn write(&self, host: &SharedHost, pair: &Pair) -> Result<(), Error> {
        host.write(&self.key, pair.key.as_bytes(), 0o600).await?;
        let certificate = pair.certificate.as_bytes();
        Ok(host.write(&self.certificate, certificate, 0o644).await?)
    }
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes)
        .map_err(|_| Error::unavailable(format!("{} is not a text", path.display())))
}

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub enum Leaf<'a> {
    Api(&'a NodeName),
    Agent(&'a NodeName),
    /// An agent, to etcd.
    EtcdClient(&'a NodeName),
    /// A server of etcd at this address and on the node itself, and a client of its peers.
    EtcdServer(&'a str),
}

impl Leaf<'_> {
    fn parameters(&self) -> Result<CertificateParams, rcgen::Error> {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let (names, subject, usages) = match self {
            Self::Api(node) => {
                let names = [node.as_str(), "localhost", "127.0.0.1", "::1"].map(str::to_owned);
                (names.to_vec(), node.to_string(), vec![ServerAuth])
            }
            Self::Agent(node) => {
                let name = format!("{node}{AGENT_DOMAIN}");
                (vec![name.clone()], name, vec![ServerAuth, ClientAuth])
            }
            Self::EtcdClient(node) => (Vec::new(), node.to_string(), vec![ClientAuth]),
            Self::EtcdServer(address) => (
                vec![(*address).to_owned(), LOOPBACK.to_owned()],
                "etcd".to_owned(),
                vec![ServerAuth, ClientAuth],
            ),
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(&subject);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(uuid::Uuid::new_v4().as_bytes()));
        valid(&mut params, LEAF_LASTS);
        Ok(params)
    }
}

fn valid(params: &mut CertificateParams, lasts: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after = now + lasts;
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::OrganizationName, "Ostler");
    names.push(DnType::CommonName, name);
    names
}

fn failed(what: &str, error: &rcgen::Error) -> Error {
    Error::unavailable(format!("{what}: {error}"))
}

/// Signs certificates.
pub struct Authority {
    /// As PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn from_pair(pair: &Pair) -> Result<Self, Error> {
        let unusable = |error: rcgen::Error| failed("an authority is unusable", &error);
        let key = KeyPair::from_pem(&pair.key).map_err(unusable)?;
        Ok(Self {
            certificate: pair.certificate.clone(),
            issuer: Issuer::from_ca_cert_pem(&pair.certificate, key).map_err(unusable)?,
        })
    }

    /// Reads an authority.
    pub async fn open(host: &SharedHost, at: &PairPaths) -> Result<Self, Error> {
        Self::from_pair(&at.read(host).await?)
    }

    /// Reads an authority; makes it, with this name, if there is none.
    pub async fn ensure(host: &SharedHost, at: &PairPaths, name: &str) -> Result<Self, Error> {
        if !at.exist(host).await? {
            let made = new_authority(name);
            let made = made.map_err(|error| failed("an authority cannot be made", &error))?;
            at.write(host, &made).await?;
        }
        Self::open(host, at).await
    }

    /// Signs a certificate for a key that is made here.
    pub fn issue(&self, leaf: Leaf<'_>) -> Result<Pair, Error> {
        let key = new_key()?;
        Ok(Pair {
            certificate: self.sign(leaf, &key)?,
            key: key.serialize_pem(),
        })
    }

    /// Signs a certificate for a public key (PEM) whose private one is somewhere else.
    pub fn sign_for(&self, leaf: Leaf<'_>, public_key: &str) -> Result<String, Error> {
        let key = SubjectPublicKeyInfo::from_pem(public_key);
        self.sign(leaf, &key.map_err(|error| failed("a public key", &error))?)
    }

    /// Signs another certificate for the key of a pair.
    pub fn renew(&self, leaf: Leaf<'_>, pair: &Pair) -> Result<Pair, Error> {
        let key = KeyPair::from_pem(&pair.key);
        let key = key.map_err(|error| failed("a key is unusable", &error))?;
        Ok(Pair {
            certificate: self.sign(leaf, &key)?,
            key: pair.key.clone(),
        })
    }

    fn sign(&self, leaf: Leaf<'_>, key: &impl PublicKeyData) -> Result<String, Error> {
        let signed = leaf
            .parameters()
            .and_then(|parameters| parameters.signed_by(key, &self.issuer));
        let signed = signed.map_err(|error| failed("a certificate cannot be made", &error))?;
        Ok(signed.pem())
    }

    /// The list of revoked certificates, by their serial numbers, as DER.
    pub fn revoke(&self, serials: &[String]) -> Result<Vec<u8>, Error> {
        let now = OffsetDateTime::now_utc();
        let revoked = serials.iter().filter_map(|serial| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&from_hex(serial)?),
                revocation_time: now,
                reason_code: None,
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: now + AUTHORITY_LASTS,
            crl_number: SerialNumber::from(serials.len() as u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer);
        let list = list.map_err(|error| failed("a revocation list cannot be made", &error))?;
        Ok(list.der().to_vec())
    }
}

fn new_authority(name: &str) -> Result<Pair, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, AUTHORITY_LASTS);
    let key = KeyPair::generate()?;
    Ok(Pair {
        certificate: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
    })
}

/// A new key, of the kind that all our certificates have.
pub fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate().map_err(|error| failed("a key cannot be made", &error))
}

/// The serial number of a certificate (PEM), in hexadecimal digits.
pub fn serial(certificate: &str) -> Result<String, Error> {
    let pem = parse(certificate)?;
    let parsed = pem.parse_x509().map_err(|error| unreadable(&error))?;
    Ok(hex(&parsed.serial.to_bytes_be()))
}

/// Whether an authority (PEM) has signed a certificate (PEM), as far as their names tell.
pub fn is_of(certificate: &str, authority: &str) -> Result<bool, Error> {
    let (certificate, authority) = (parse(certificate)?, parse(authority)?);
    let certificate = certificate.parse_x509().map_err(|e| unreadable(&e))?;
    let authority = authority.parse_x509().map_err(|e| unreadable(&e))?;
    Ok(certificate.issuer() == authority.subject())
}

/// The SHA-256 of a certificate (PEM), in pairs of digits.
pub fn fingerprint(certificate: &str) -> Result<String, Error> {
    let digest = digest(&SHA256, &parse(certificate)?.contents);
    Ok(model::text::fingerprint(digest.as_ref()))
}

fn parse(certificate: &str) -> Result<Pem, Error> {
    let (pem, _) = Pem::read(std::io::Cursor::new(certificate)).map_err(|e| unreadable(&e))?;
    Ok(pem)
}

fn unreadable(error: &dyn std::error::Error) -> Error {
    Error::unavailable(format!("a certificate: {error}"))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(octet).collect()
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{CertificateRevocationList, FromDer};

    use super::*;

    fn authority(name: &str) -> Authority {
        Authority::from_pair(&new_authority(name).unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_for_a_foreign_key_has_that_key() {
        let key = new_key().unwrap();
        let node: NodeName = "b".parse().unwrap();
        let authority = authority("x");
        let signed = authority
            .sign_for(Leaf::Agent(&node), &key.public_key_pem())
            .unwrap();
        let (pem, _) = Pem::read(std::io::Cursor::new(&signed)).unwrap();
        let parsed = pem.parse_x509().unwrap();
        assert_eq!(parsed.public_key().raw, key.subject_public_key_info());
        assert!(authority.sign_for(Leaf::Agent(&node), "no key").is_err());
    }

    #[test]
    fn a_revocation_list_has_the_serials_of_certificates() {
        let authority = authority("x");
        let node: NodeName = "b".parse().unwrap();
        let serials: Vec<String> = [Leaf::EtcdClient(&node), Leaf::EtcdServer("10.0.0.1")]
            .map(|leaf| serial(&authority.issue(leaf).unwrap().certificate).unwrap())
            .to_vec();
        assert_ne!(serials[0], serials[1]);
        let list = authority.revoke(&serials).unwrap();
        let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
        let listed: Vec<String> = list
            .iter_revoked_certificates()
            .map(|revoked| hex(&revoked.serial().to_bytes_be()))
            .collect();
        assert_eq!(listed, serials);
        assert!(authority.revoke(&[]).is_ok());
    }
}
