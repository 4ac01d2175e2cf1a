//! The certificates of a node, as texts and numbers.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use model::text::{fingerprint, hex};
use model::{Error, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use crate::NodeContext;

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The name that clients of Proxmox VE know it by.
    pub file_name: &'static str,
    pub pem: String,
    /// Of its SHA-256, in pairs of digits.
    pub fingerprint: String,
    /// `/O=Ostler/CN=pve1`
    pub subject: String,
    pub issuer: String,
    pub names: Vec<String>,
    pub not_before: UnixTime,
    pub not_after: UnixTime,
    pub key_type: &'static str,
    pub key_bits: usize,
}

/// The node's own authority, and the certificate that its API serves.
pub async fn certificates(node: &NodeContext) -> Result<Vec<Certificate>, Error> {
    let served = node.paths.served_certificate();
    let authority = node.paths.tls().join("ca.pem");
    let mut certificates = Vec::new();
    for (file_name, path) in [("pve-root-ca.pem", authority), ("pve-ssl.pem", served)] {
        match node.host.read(&path).await {
            Ok(content) => certificates.push(parse(file_name, &path, &content)?),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(certificates)
}

/// Until when the first certificate of a file is valid.
pub(crate) fn end_of(path: &Path, content: &[u8]) -> Result<UnixTime, Error> {
    Ok(parse("", path, content)?.not_after)
}

/// The first certificate of a file.
fn parse(file_name: &'static str, path: &Path, content: &[u8]) -> Result<Certificate, Error> {
    let unreadable = |error: &dyn std::error::Error| {
        let text = format!("cannot read the certificate in {}", path.display());
        Error::unavailable(format!("{text}: {}", Error::chain(error)))
    };
    let (pem, _) = Pem::read(std::io::Cursor::new(content)).map_err(|e| unreadable(&e))?;
    let certificate = pem.parse_x509().map_err(|e| unreadable(&e))?;
    let (key_type, key_bits) = key(&certificate);
    let octets = digest(&SHA256, &pem.contents);
    Ok(Certificate {
        file_name,
        pem: first_block(&String::from_utf8_lossy(content)),
        fingerprint: fingerprint(octets.as_ref()),
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        names: names(&certificate),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        key_type,
        key_bits,
    })
}

/// A file's text up to the end of its first certificate.
fn first_block(text: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    match text.find(END) {
        Some(at) => format!("{}\n", &text[..at + END.len()]),
        None => text.to_owned(),
    }
}

/// A name's parts in their order, each after a slash.
fn name(name: &X509Name<'_>) -> String {
    let part = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let oid = attribute.attr_type();
        let short = match oid.to_id_string().as_str() {
            "2.5.4.3" => "CN".to_owned(),
            "2.5.4.6" => "C".to_owned(),
            "2.5.4.7" => "L".to_owned(),
            "2.5.4.8" => "ST".to_owned(),
            "2.5.4.10" => "O".to_owned(),
            "2.5.4.11" => "OU".to_owned(),
            "1.2.840.113549.1.9.1" => "emailAddress".to_owned(),
            other => other.to_owned(),
        };
        format!("/{short}={}", attribute.as_str().unwrap_or_default())
    };
    name.iter_attributes().map(part).collect()
}

/// The hosts that a certificate is for.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => address(octets),
            _ => None,
        })
        .collect()
}

/// An address with all its digits.
fn address(octets: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(std::net::Ipv4Addr::from(octets).to_string());
    }
    let groups = octets.chunks_exact(2).map(hex);
    (octets.len() == 16).then(|| groups.collect::<Vec<_>>().join(":"))
}

/// The type of a certificate's key, in OpenSSL's words, and its bits.
fn key(certificate: &X509Certificate<'_>) -> (&'static str, usize) {
    match certificate.public_key().parsed() {
        // The modulus may begin with an octet that only says that it is no negative number.
        Ok(PublicKey::RSA(key)) => ("rsaEncryption", key.key_size()),
        Ok(PublicKey::EC(point)) => ("id-ecPublicKey", point.key_size()),
        _ => ("unknown", 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    #[test]
    fn a_certificate_is_read() {
        let names = ["pve1", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "Ostler");
        name.push(DnType::CommonName, "pve1");
        params.distinguished_name = name;
        let pem = params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem();
        let chain = format!("{pem}{pem}");
        let read = parse("pve-ssl.pem", Path::new("/x"), chain.as_bytes()).unwrap();
        assert_eq!(read.subject, "/O=Ostler/CN=pve1");
        assert_eq!(read.issuer, read.subject);
        assert_eq!(
            read.names,
            [
                "pve1",
                "127.0.0.1",
                "0000:0000:0000:0000:0000:0000:0000:0001"
            ]
        );
        assert_eq!((read.key_type, read.key_bits), ("id-ecPublicKey", 256));
        assert_eq!(read.fingerprint.len(), 95);
        assert_eq!(read.pem.matches("BEGIN").count(), 1);
        assert!(read.not_before < read.not_after);
        assert!(parse("x", Path::new("/x"), b"nothing").is_err());
    }
}
