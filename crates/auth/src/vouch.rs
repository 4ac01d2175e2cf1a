//! Vouchers: an agent's word for `root@pam` of its own socket, given to another agent.
//!
//! Every other credential is passed on unchanged and verified again by the node that it reaches. The
//! uid of a process cannot be passed on, so the agent signs the request with the key of its
//! certificate. A voucher is good for one request to one node, once and for a short time, and only
//! on a connection with that certificate: to all others it is worthless.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::schema::Values;
use model::{Error, ErrorKind, NodeName, UnixTime};
use proto::{Identity, Voucher};

/// How long a voucher is good for, and by how much the clocks of two nodes may differ.
const WINDOW_S: i64 = 30;

/// Vouchers that are remembered at most, of all nodes.
const REMEMBERED: usize = 100_000;

/// Separates these signatures from all others of the same key.
const PURPOSE: &str = "ostler voucher 1";

/// What a voucher is for.
pub struct Vouched<'a> {
    /// The node whose socket was called.
    pub from: &'a NodeName,
    /// The node that the request is for.
    pub to: &'a NodeName,
    pub op: &'a str,
    pub id: &'a str,
    pub params: &'a Values,
}

impl Vouched<'_> {
    fn text(&self, made: UnixTime) -> Result<Vec<u8>, Error> {
        let Self {
            from,
            to,
            op,
            id,
            params,
        } = self;
        serde_json::to_vec(&(PURPOSE, from, to, op, id, params, made))
            .map_err(|error| Error::bug(format!("a request cannot be signed: {error}")))
    }

    /// Signs with the key of this node's certificate.
    pub fn sign(&self, key: &VoucherKey, now: UnixTime) -> Result<Voucher, Error> {
        let signature = key.0.sign(&SystemRandom::new(), &self.text(now)?);
        let signature = signature.map_err(|_| Error::bug("the agent's key cannot sign"))?;
        Ok(Voucher {
            made: now,
            signature: STANDARD.encode(signature),
        })
    }
}

/// The private key of an agent's certificate: ECDSA over P-256.
pub struct VoucherKey(EcdsaKeyPair);

impl VoucherKey {
    /// Reads a key in the form of PKCS #8; none for one of another kind.
    pub fn new(pkcs8: &[u8]) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8);
        key.ok().map(Self)
    }
}

/// Verifies vouchers, and remembers which have been used.
#[derive(Default)]
pub struct Vouchers {
    used: Mutex<BTreeSet<(UnixTime, String)>>,
}

impl Vouchers {
    /// `key` is the public key of the certificate that the request's connection has.
    pub fn verify(
        &self,
        voucher: &Voucher,
        what: &Vouched<'_>,
        key: &[u8],
        now: UnixTime,
    ) -> Result<Identity, Error> {
        let Voucher { made, signature } = voucher;
        let refused = |text: String| Error::new(ErrorKind::Unauthenticated, text);
        let octets = STANDARD.decode(signature).unwrap_or_default();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(&what.text(*made)?, &octets)
            .map_err(|_| refused("Authentication failed!".to_owned()))?;
        if made.abs_diff(now) > WINDOW_S.unsigned_abs() {
            let Vouched { from, to, .. } = what;
            let text = format!("the clocks of nodes '{from}' and '{to}' differ by {WINDOW_S} s");
            return Err(refused(format!("{text} or more")));
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.split_off(&(now - WINDOW_S, String::new()));
        if used.len() >= REMEMBERED {
            let text = "too many requests of other nodes' root; try again later";
            return Err(Error::new(ErrorKind::TooMany, text));
        }
        match used.insert((*made, signature.clone())) {
            true => Ok(Identity::root()),
            false => Err(refused("this request was received before".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair;
    use serde_json::json;

    use super::*;

    fn key() -> (VoucherKey, Vec<u8>) {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let key = VoucherKey::new(pkcs8.unwrap().as_ref()).unwrap();
        let public = key.0.public_key().as_ref().to_vec();
        (key, public)
    }

    #[test]
    fn a_voucher_is_good_for_one_request_once_and_not_for_long() {
        let (key, public) = key();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let params = json!({"vmid": 100});
        let params = params.as_object().unwrap();
        let what = Vouched {
            from: &a,
            to: &b,
            op: "qemu_start",
            id: "1",
            params,
        };
        let vouchers = Vouchers::default();
        let voucher = what.sign(&key, 1000).unwrap();
        let refusal = |what: &Vouched<'_>, key: &[u8], now: UnixTime| {
            let refused = vouchers.verify(&voucher, what, key, now).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Unauthenticated);
            refused.message
        };
        let failed = "Authentication failed!";
        let others = json!({"vmid": 101});
        let others = others.as_object().unwrap();
        for other in [
            Vouched { from: &b, ..what },
            Vouched { to: &a, ..what },
            Vouched {
                op: "qemu_stop",
                ..what
            },
            Vouched { id: "2", ..what },
            Vouched {
                params: others,
                ..what
            },
        ] {
            assert_eq!(refusal(&other, &public, 1000), failed);
        }
        let (_, stranger) = self::key();
        assert_eq!(refusal(&what, &stranger, 1000), failed);
        let late = "the clocks of nodes 'a' and 'b' differ by 30 s or more";
        for now in [1031, 969] {
            assert_eq!(refusal(&what, &public, now), late);
        }
        let identity = vouchers.verify(&voucher, &what, &public, 1030).unwrap();
        assert!(identity.is_root());
        assert_eq!(
            refusal(&what, &public, 1000),
            "this request was received before"
        );
        // Forgotten only when its time has passed.
        let next = what.sign(&key, 1031).unwrap();
        vouchers.verify(&next, &what, &public, 1031).unwrap();
        assert_eq!(vouchers.used.lock().unwrap().len(), 1);
    }
}
