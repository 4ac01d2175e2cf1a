//! Certificates of a cluster, for tests.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority.
pub struct Authority {
    /// Its certificate.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

impl Authority {
    #[expect(clippy::new_without_default, reason = "each one is another authority")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("a key signs");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a name, for both ends of connections.
    pub fn issue(&self, name: &str) -> Certificate {
        self.issue_with(name, |_| {})
    }

    /// The same, long expired.
    pub fn issue_expired(&self, name: &str) -> Certificate {
        self.issue_with(name, |params| params.not_after = date_time_ymd(2020, 1, 1))
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let params = CertificateParams::new([name.to_owned()]);
        let mut params = params.expect("a name for a certificate");
        let both = [
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.extended_key_usages = both.to_vec();
        change(&mut params);
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params.signed_by(&key, &self.issuer).expect("a key signs");
        Certificate {
            chain: signed.pem(),
            key: key.serialize_pem(),
        }
    }
}
