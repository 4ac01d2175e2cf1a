//! A store whose secrets only members can read.
//!
//! ```text
//!   secret/…   sealed on the way in, opened on the way out    the servers, their disks and a
//!   others     passed as they are                             witness see no secret
//! ```
//!
//! A sealed value is `\0sealed1`, the number of the key, a nonce, and the value encrypted with
//! AES-256-GCM. The entry's key is authenticated with it: a value that was moved to another entry
//! does not open. Values of before are read as they are.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::{
    Change, Changes, Commit, Entry, Key, LeaseId, Outage, Page, PageToken, Prefix, Read, Revision,
    SharedStore, Standing, Store, StoreError, Watch, Write,
};

const SECRETS: &str = "secret/";
const MARK: &[u8] = b"\0sealed1";
/// Of the number of a key.
const NUMBER_LEN: usize = 4;

/// The keys that seal secrets, the one for new values first.
#[derive(Clone)]
pub struct SealingKeys(Vec<(u32, [u8; 32])>);

impl SealingKeys {
    /// One new key.
    pub fn generate() -> Result<Self, StoreError> {
        let mut key = [0; 32];
        let filled = SystemRandom::new().fill(&mut key);
        filled.map_err(|_| wrong("there are no random numbers"))?;
        Ok(Self(vec![(1, key)]))
    }

    /// Reads keys as `Display` writes them: a line each, the number, a blank, 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let keys: Option<Vec<_>> = text.lines().map(parse_line).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self(keys)),
            _ => Err(wrong("the keys that seal secrets cannot be read")),
        }
    }

    fn cipher(&self, number: u32) -> Result<LessSafeKey, StoreError> {
        let mut keys = self.0.iter();
        let known = keys.find(|(known, _)| *known == number);
        let (_, key) = known.ok_or_else(|| wrong("a secret was sealed with an unknown key"))?;
        let key = UnboundKey::new(&AES_256_GCM, key);
        key.map(LessSafeKey::new)
            .map_err(|_| wrong("a key that seals secrets cannot be used"))
    }

    fn seal(&self, key: &Key, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let number = self.0[0].0;
        let mut nonce = [0; NONCE_LEN];
        let filled = SystemRandom::new().fill(&mut nonce);
        filled.map_err(|_| wrong("there are no random numbers"))?;
        let mut sealed = value.to_vec();
        self.cipher(number)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(key.as_str()),
                &mut sealed,
            )
            .map_err(|_| wrong("a secret cannot be sealed"))?;
        Ok([MARK, &number.to_be_bytes(), &nonce, &sealed].concat())
    }

    fn open(&self, key: &Key, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let Some(sealed) = value.strip_prefix(MARK) else {
            return Ok(value.to_vec());
        };
        let unreadable = || wrong(&format!("the secret '{key}' cannot be opened"));
        let (number, sealed) = sealed
            .split_first_chunk::<NUMBER_LEN>()
            .ok_or_else(unreadable)?;
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(unreadable)?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .cipher(u32::from_be_bytes(*number))?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(key.as_str()),
                &mut sealed,
            )
            .map_err(|_| unreadable())?;
        Ok(opened.to_vec())
    }
}

/// As `SealingKeys::parse` reads them.
impl fmt::Display for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, key) in &self.0 {
            write!(f, "{number} ")?;
            key.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

fn parse_line(line: &str) -> Option<(u32, [u8; 32])> {
    let (number, digits) = line.split_once(' ')?;
    let mut key = [0; 32];
    if digits.len() != 2 * key.len() || !digits.is_ascii() {
        return None;
    }
    for (octet, at) in key.iter_mut().zip((0..).step_by(2)) {
        *octet = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some((number.parse().ok()?, key))
}

fn wrong(text: &str) -> StoreError {
    StoreError::Unavailable(text.to_owned())
}

/// See the module.
pub struct SealedStore {
    inner: SharedStore,
    keys: SealingKeys,
}

impl SealedStore {
    pub fn new(inner: SharedStore, keys: SealingKeys) -> Self {
        Self { inner, keys }
    }

    fn seal(&self, commit: Commit) -> Result<Commit, StoreError> {
        let seal = |write| match write {
            Write::Put { key, value, lease } if key.as_str().starts_with(SECRETS) => {
                let value = self.keys.seal(&key, &value)?;
                Ok(Write::Put { key, value, lease })
            }
            write => Ok(write),
        };
        Ok(Commit {
            preconditions: commit.preconditions,
            writes: commit
                .writes
                .into_iter()
                .map(seal)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn open(keys: &SealingKeys, mut entry: Entry) -> Result<Entry, StoreError> {
    if entry.key.as_str().starts_with(SECRETS) {
        entry.value = keys.open(&entry.key, &entry.value)?;
    }
    Ok(entry)
}

#[async_trait]
impl Store for SealedStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        let (entry, revision) = self.inner.get(key, read).await?;
        let entry = entry.map(|entry| open(&self.keys, entry)).transpose()?;
        Ok((entry, revision))
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        let mut page = self.inner.list(prefix, from, read).await?;
        let opened = page
            .entries
            .into_iter()
            .map(|entry| open(&self.keys, entry));
        page.entries = opened.collect::<Result<_, _>>()?;
        Ok(page)
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        self.inner.commit(self.seal(commit)?).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        Ok(Box::new(SealedWatch {
            inner: self.inner.watch(prefix, after).await?,
            keys: self.keys.clone(),
        }))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.revoke(lease).await
    }

    fn outage(&self) -> Option<Outage> {
        self.inner.outage()
    }

    fn copy(&self) -> Option<Standing> {
        self.inner.copy()
    }

    async fn until_outage(&self, is_out: bool) {
        self.inner.until_outage(is_out).await;
    }
}

struct SealedWatch {
    inner: Box<dyn Watch>,
    keys: SealingKeys,
}

#[async_trait]
impl Watch for SealedWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        let mut changes = self.inner.next().await?;
        let opened = changes.changes.into_iter().map(|change| match change {
            Change::Put(entry) => open(&self.keys, entry).map(Change::Put),
            change => Ok(change),
        });
        changes.changes = opened.collect::<Result<_, _>>()?;
        Ok(changes)
    }

    fn resumed(&self) -> u64 {
        self.inner.resumed()
    }
}
