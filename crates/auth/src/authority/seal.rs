//! Secrets inside records that are copied to the api.
//!
//! ```text
//!   a guest's record: cipassword = sealed:1:…   copied to the api, useless there
//!   secret/keys/seal                            never leaves the agent; decrypts it
//! ```
//!
//! A sealed text can be copied, be part of a snapshot or wait for a restart like any other value.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use store::{Commit, Precondition, Read, StoreError};

use super::Authority;
use crate::error::AuthError;
use crate::keys;
use crate::secret::random;

/// The prefix of a sealed text, with the version of the method.
const MARK: &str = "sealed:1:";

/// The key in the store.
#[derive(Serialize, Deserialize)]
struct StoredSeal {
    /// Base64 of 32 bytes.
    key: String,
}

fn broken(what: &str) -> AuthError {
    AuthError::Broken(what.to_owned())
}

impl Authority {
    /// A text that only an agent of this cluster can decrypt.
    pub async fn seal(&self, text: &str) -> Result<String, AuthError> {
        let key = self.sealing_key().await?;
        let nonce: [u8; NONCE_LEN] = random();
        let mut data = text.as_bytes().to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(MARK),
            &mut data,
        )
        .map_err(|_| broken("a secret cannot be sealed"))?;
        let whole = [nonce.as_slice(), &data].concat();
        Ok(format!("{MARK}{}", STANDARD.encode(whole)))
    }

    /// Decrypts a sealed text. A text that is not sealed is returned unchanged.
    pub async fn unseal(&self, text: &str) -> Result<String, AuthError> {
        let Some(encoded) = text.strip_prefix(MARK) else {
            return Ok(text.to_owned());
        };
        let unreadable = || broken("a sealed secret cannot be read");
        let whole = STANDARD.decode(encoded).map_err(|_| unreadable())?;
        let (nonce, data) = whole.split_at_checked(NONCE_LEN).ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let mut data = data.to_vec();
        let key = self.sealing_key().await?;
        let plain = key
            .open_in_place(nonce, Aad::from(MARK), &mut data)
            .map_err(|_| unreadable())?;
        String::from_utf8(plain.to_vec()).map_err(|_| unreadable())
    }

    /// Reads the key; creates it on first use.
    async fn sealing_key(&self) -> Result<LessSafeKey, AuthError> {
        let at = keys::sealing_key();
        loop {
            if let Some((record, _)) = self.read::<StoredSeal>(&at, Read::Local).await? {
                let bytes = STANDARD.decode(&record.data.key);
                let bytes = bytes.map_err(|_| broken("the sealing key cannot be read"))?;
                let key = UnboundKey::new(&AES_256_GCM, &bytes);
                let key = key.map_err(|_| broken("the sealing key cannot be read"))?;
                return Ok(LessSafeKey::new(key));
            }
            let key = STANDARD.encode(random::<32>());
            let value = model::Record::new(StoredSeal { key })
                .encode()
                .map_err(|_| broken("the sealing key cannot be written"))?;
            let commit = Commit::new()
                .when(Precondition::Absent(at.clone()))
                .put(at.clone(), value);
            match self.store.commit(commit).await {
                // Another node was first; its key is used.
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
