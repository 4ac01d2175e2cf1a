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
    /// whoever was verified before the last one is verified again.
    pub(crate) async fn identity(
        &self,
        credential: &Credential,
        address: Option<String>,
        generation: u64,
    ) -> Result<Identity, Error> {
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
