//! What a node that joins and the cluster say to each other.

use model::{NodeName, UnixTime};
use serde::{Deserialize, Serialize};

use crate::pki::Pair;
use crate::state::Witness;

/// The version of applications and admissions.
pub(crate) const VERSION: u32 = 1;

const API_PORT: u16 = 8006;

/// The member that a node applies to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// A host's name or IP address, `HOST:PORT` if the API has another port than 8006.
    pub host: String,
    /// Of the certificate of its API, in pairs of digits.
    pub fingerprint: String,
}

impl Contact {
    /// Host and port.
    pub(super) fn address(&self) -> (String, u16) {
        let bare = self.host.trim_start_matches('[').replace(']', "");
        let is_ipv6 = bare.parse::<std::net::Ipv6Addr>().is_ok();
        match self.host.rsplit_once(':') {
            Some((host, port)) if !is_ipv6 => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                (host.to_owned(), port.parse().unwrap_or(API_PORT))
            }
            _ => (bare, API_PORT),
        }
    }
}

/// Public keys, whose private ones are in `joining/`.
pub(crate) struct PublicKeys {
    pub(crate) agent: String,
    pub(crate) etcd: String,
}

/// What a node says of itself to become a member.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Application {
    pub v: u32,
    /// Of an invitation.
    pub token: String,
    /// Where its agent listens, `HOST:PORT`.
    pub address: String,
    /// The address of link 0, where its etcd will listen.
    pub link: String,
    /// The public keys of its agent and of its client of etcd, as PEM.
    pub agent_key: String,
    pub etcd_key: String,
    /// Its clock.
    pub now: i64,
    pub nodeid: Option<u32>,
    /// Takes the place of a member with this name that does not answer.
    #[serde(default)]
    pub force: bool,
}

impl Application {
    pub(crate) fn new(keys: PublicKeys, now: UnixTime) -> Self {
        Self {
            v: VERSION,
            token: String::new(),
            address: String::new(),
            link: String::new(),
            agent_key: keys.agent,
            etcd_key: keys.etcd,
            now,
            nodeid: None,
            force: false,
        }
    }
}

/// What an admitted node gets. It has keys: it goes over a verified connection to root, and into
/// files that only root reads.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Admission {
    pub v: u32,
    pub cluster: String,
    pub nodeid: u32,
    pub authority: Pair,
    pub etcd_authority: Pair,
    /// What secrets in the store are sealed with.
    pub sealing_keys: String,
    pub agent_certificate: String,
    pub etcd_certificate: String,
    /// Where etcd is.
    pub endpoints: Vec<String>,
}

/// What a machine says of itself to become the witness.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct WitnessApplication {
    pub v: u32,
    /// Of an invitation.
    pub token: String,
    pub name: NodeName,
    pub address: String,
    pub client_key: String,
    pub server_key: String,
    /// Its clock.
    pub now: i64,
}

/// What it gets. Nothing in it is secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct WitnessAdmission {
    pub v: u32,
    pub cluster: String,
    /// The certificate (PEM) of etcd's authority.
    pub authority: String,
    /// Where etcd is.
    pub endpoints: Vec<String>,
    pub witness: Witness,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_has_the_port_of_the_api_unless_it_names_another() {
        let address = |host: &str| {
            Contact {
                host: host.to_owned(),
                fingerprint: String::new(),
            }
            .address()
        };
        for (host, name, port) in [
            ("n1", "n1", 8006),
            ("n1:18006", "n1", 18006),
            ("10.0.0.1", "10.0.0.1", 8006),
            ("fd00::1", "fd00::1", 8006),
            ("[fd00::1]", "fd00::1", 8006),
            ("[fd00::1]:18006", "fd00::1", 18006),
        ] {
            assert_eq!(address(host), (name.to_owned(), port), "{host}");
        }
    }
}
