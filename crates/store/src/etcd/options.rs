//! How an etcd cluster is reached.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ClientConfig;

use crate::StoreError;

/// The client addresses of members, `http://HOST:PORT`, the preferred one first. One of them is
/// used at a time, and another one after it has failed.
///
/// Clones share the addresses, so a store that is open follows a change.
#[derive(Debug, Clone)]
pub struct Endpoints(Arc<RwLock<Arc<[String]>>>);

impl Endpoints {
    pub fn new(endpoints: Vec<String>) -> Self {
        Self(Arc::new(RwLock::new(endpoints.into())))
    }

    /// Replaces the addresses. None at all are not taken: a store needs one.
    pub fn set(&self, endpoints: Vec<String>) {
        if !endpoints.is_empty() {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = endpoints.into();
        }
    }

    pub fn get(&self) -> Arc<[String]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Options of a store in etcd. `EtcdOptions::new` has the usual values.
#[derive(Clone)]
pub struct EtcdOptions {
    pub endpoints: Endpoints,
    /// The certificates to trust and to show; needed for, and only for, `https` endpoints. A
    /// certificate that is renewed comes from a resolver in it, and is used by the next connection.
    pub tls: Option<Arc<ClientConfig>>,
    /// All keys of the store begin with this, 64 bytes at most. Stores with different ones do not
    /// see each other.
    pub namespace: String,
    /// The name of this agent, 64 printable characters at most. Two stores that are open at once
    /// have different ones: the later one ends the commits of the earlier one.
    pub agent: String,
    /// The longest wait for a connection to one member.
    pub connect_timeout: Duration,
    /// The longest wait for the answer of one member.
    pub request_timeout: Duration,
    /// How often a silent connection is tested, and how long its answer may take. etcd closes
    /// connections that test more often than its `--grpc-keepalive-min-time`, 5 s by default.
    pub ping_interval: Duration,
    /// The pause of a watch after it failed, before it asks another member.
    pub retry_pause: Duration,
}

impl EtcdOptions {
    pub fn new(agent: impl Into<String>, endpoints: Vec<String>) -> Self {
        Self {
            endpoints: Endpoints::new(endpoints),
            tls: None,
            namespace: "ostler/".to_owned(),
            agent: agent.into(),
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(6),
            retry_pause: Duration::from_millis(500),
        }
    }

    /// Refuses options that cannot work; the text names the option.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let wrong = |text: String| Err(StoreError::Unavailable(text));
        let endpoints = self.endpoints.get();
        if endpoints.is_empty() {
            return wrong("endpoints: none is given".to_owned());
        }
        for endpoint in &*endpoints {
            match (endpoint.split_once("://"), self.tls.is_some()) {
                (Some(("http", _)), false) | (Some(("https", _)), true) => {}
                (_, false) => return wrong(format!("endpoints: '{endpoint}' is not http://…")),
                (_, true) => return wrong(format!("endpoints: '{endpoint}' is not https://…")),
            }
        }
        let is_short = |text: &str| text.len() <= 64 && !text.chars().any(char::is_control);
        if !is_short(&self.namespace) {
            return wrong("namespace: more than 64 bytes, or not printable".to_owned());
        }
        if self.agent.is_empty() || !is_short(&self.agent) {
            return wrong("agent: empty, more than 64 bytes, or not printable".to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdOptions")
            .field("endpoints", &self.endpoints)
            .field("tls", &self.tls.is_some())
            .field("namespace", &self.namespace)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_option_is_named() {
        let refusal = |change: fn(&mut EtcdOptions)| {
            let mut options = EtcdOptions::new("a", vec!["http://[::1]:2379".to_owned()]);
            options.check().unwrap();
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        let names = [
            (
                refusal(|o| o.endpoints = Endpoints::new(Vec::new())),
                "endpoints",
            ),
            (
                refusal(|o| o.endpoints.set(vec!["[::1]:2379".to_owned()])),
                "endpoints",
            ),
            (
                refusal(|o| o.endpoints.set(vec!["https://a:1".to_owned()])),
                "endpoints",
            ),
            (refusal(|o| o.namespace = "x".repeat(65)), "namespace"),
            (refusal(|o| o.agent.clear()), "agent"),
        ];
        for (refusal, name) in names {
            assert!(refusal.contains(name), "{refusal}");
        }
    }
}
