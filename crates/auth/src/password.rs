//! Passwords of realm `pve`: argon2id, on blocking threads, a few at a time.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::AuthError;

/// OWASP's choice for argon2id: 19 MiB, two passes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Each computation takes 19 MiB and a core for some ten milliseconds. Further logins queue instead
/// of taking CPU from the guests.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 4).max(1))
}

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("constant parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &[u8]) -> Result<String, AuthError> {
    argon2()
        .hash_password(password)
        .map(|hash| hash.to_string())
        .map_err(|error| AuthError::Broken(format!("cannot hash a password: {error}")))
}

fn verify(password: &[u8], hash: &str) -> bool {
    // The parameters are those of the hash: older ones stay good when ours change.
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password, &hash).is_ok())
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(at_once())),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| AuthError::Broken("password checks were closed".into()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the computation, not by the waiter: a cancelled wait must not free the slot
            // early.
            let _slot = slot;
            work()
        });
        done.await
            .map_err(|error| AuthError::Broken(format!("a password check ended: {error}")))
    }

    pub(crate) async fn hash(&self, password: &str) -> Result<String, AuthError> {
        let password = password.to_owned();
        self.run(move || hash(password.as_bytes())).await?
    }

    /// Whether the password matches the hash. Without a hash it takes as long and fails.
    pub(crate) async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
    ) -> Result<bool, AuthError> {
        let password = password.to_owned();
        self.run(move || match hash {
            Some(hash) => verify(password.as_bytes(), &hash),
            // The same computation for an unknown user, so that it takes as long as for a known
            // one.
            None => {
                let _ = self::hash(password.as_bytes());
                false
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_somebody_is_right() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify("correct horse", Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(!passwords.verify("correct horsf", Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
        assert!(
            !passwords
                .verify("x", Some("not a hash".into()))
                .await
                .unwrap()
        );
    }
}
