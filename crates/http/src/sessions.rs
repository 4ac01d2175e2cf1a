//! Callers that the agent has verified, kept for a while.
//!
//! Only what the api answers by itself asks here; whatever the agent does, the agent verifies
//! anew each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Clock, Error};
use proto::wire::Client;
use proto::{Credential, Identity};

/// Credentials kept at most; beyond that all are forgotten.
const KEPT: usize = 10_000;

/// The identity does not depend on the CSRF token, which a client can make up.
fn without_csrf(credential: &Credential) -> Credential {
    match credential {
        Credential::Ticket { ticket, .. } => Credential::Ticket {
            ticket: ticket.clone(),
            csrf: None,
        },
        other => other.clone(),
    }
}

pub(crate) struct Sessions {
    client: Client,
    clock: Arc<dyn Clock>,
    known: Mutex<(u64, HashMap<Credential, Identity>)>,
}

impl Sessions {
    pub(crate) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            clock,
            known: Mutex::default(),
        }
    }

    /// Who this is. `generation` is the index's count of changes to users, tokens and rights:
    /// a caller who was verified before the last one is verified again.
    pub(crate) async fn identity(
        &self,
        credential: &Credential,
        address: Option<String>,
        generation: u64,
    ) -> Result<Identity, Error> {
        let credential = &without_csrf(credential);
        if let Some(identity) = self.lookup(credential, generation) {
            return Ok(identity);
        }
        let identity = self.client.verify(credential.clone(), address).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 == generation && known.1.len() < KEPT {
            known.1.insert(credential.clone(), identity.clone());
        }
        Ok(identity)
    }

    fn lookup(&self, credential: &Credential, generation: u64) -> Option<Identity> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != generation || known.1.len() >= KEPT {
            *known = (generation, HashMap::new());
        }
        let identity = known.1.get(credential)?;
        (identity.expires > self.clock.wall()).then(|| identity.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use proto::wire::{Answer, Peer, Request, Responder, Service, Streamed, serve};
    use testkit::ManualClock;

    use super::*;

    /// Accepts every credential, and counts how often it is asked.
    #[derive(Default)]
    struct Agent(AtomicUsize);

    #[async_trait]
    impl Service for Agent {
        async fn request(&self, _: Peer, _: Request) -> Result<Answer, Error> {
            Err(Error::bug("no operations here"))
        }
        async fn stream(&self, _: Peer, _: Request) -> Result<Streamed, Error> {
            Err(Error::bug("no streams here"))
        }
        async fn verify(
            &self,
            _: Peer,
            _: Credential,
            _: Option<String>,
        ) -> Result<Identity, Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Identity::root())
        }
        async fn watch(&self, _: Peer, _: Responder) -> Result<(), Error> {
            Err(Error::bug("nothing to watch here"))
        }
    }

    #[tokio::test]
    async fn a_caller_is_kept_once_whatever_csrf_tokens_come_with_the_ticket() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("node.sock");
        let agent = Arc::new(Agent::default());
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let serving = tokio::spawn(serve(listener, agent.clone()));
        let sessions = Sessions::new(Client::new(&socket), Arc::new(ManualClock::default()));
        let ticket = |csrf: usize| Credential::Ticket {
            ticket: "PVE:root@pam:1".into(),
            csrf: Some("x".repeat(csrf)),
        };
        for csrf in 0..20 {
            sessions.identity(&ticket(csrf), None, 1).await.unwrap();
        }
        assert_eq!(agent.0.load(Ordering::Relaxed), 1);
        assert_eq!(sessions.known.lock().unwrap().1.len(), 1);
        // Another generation of rights: every credential is verified again.
        sessions.identity(&ticket(0), None, 2).await.unwrap();
        assert_eq!(agent.0.load(Ordering::Relaxed), 2);
        serving.abort();
    }
}
