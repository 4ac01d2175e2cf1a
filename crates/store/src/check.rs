//! The limits of the contract, checked before a backend is called.

use std::collections::HashSet;
use std::time::Duration;

use crate::{Commit, Key, Precondition, StoreError, Write, limits};

/// The shortest lease: a holder must be able to renew in time.
const LEASE_TTL_MIN: Duration = Duration::from_secs(1);

impl Write {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn bytes(&self) -> usize {
        let value = match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } => 0,
        };
        self.key().as_str().len() + value
    }
}

impl Precondition {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::CreatedAt(key, _) | Self::ModifiedAt(key, _) => key,
        }
    }
}

impl Commit {
    fn bytes(&self) -> usize {
        let preconditions: usize = self
            .preconditions
            .iter()
            .map(|p| p.key().as_str().len())
            .sum();
        preconditions + self.writes.iter().map(Write::bytes).sum::<usize>()
    }
}

/// Refuses a commit that breaks a limit; the text names the limit.
pub(crate) fn commit(commit: &Commit) -> Result<(), StoreError> {
    at_most("writes", commit.writes.len(), limits::WRITES_PER_COMMIT)?;
    at_most(
        "preconditions",
        commit.preconditions.len(),
        limits::PRECONDITIONS_PER_COMMIT,
    )?;
    let mut written = HashSet::new();
    for write in &commit.writes {
        if let Write::Put { key, value, .. } = write {
            at_most(
                &format!("bytes in the value of {key}"),
                value.len(),
                limits::VALUE_BYTES,
            )?;
        }
        if !written.insert(write.key()) {
            return Err(StoreError::Limit(format!(
                "{} is written twice",
                write.key()
            )));
        }
    }
    at_most(
        "bytes in keys and values",
        commit.bytes(),
        limits::COMMIT_BYTES,
    )
}

pub(crate) fn lease_ttl(ttl: Duration) -> Result<(), StoreError> {
    if ttl < LEASE_TTL_MIN {
        return Err(StoreError::Limit(format!(
            "a lease of {ttl:?}, at least 1 s is allowed"
        )));
    }
    Ok(())
}

fn at_most(what: &str, found: usize, limit: usize) -> Result<(), StoreError> {
    if found > limit {
        return Err(StoreError::Limit(format!(
            "{found} {what}, at most {limit} are allowed"
        )));
    }
    Ok(())
}
