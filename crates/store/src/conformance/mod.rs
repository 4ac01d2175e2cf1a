//! The conformance suite: cases that every backend must pass.
//!
//! A test file of a backend implements `Backend` and calls
//! `store::conformance_tests!(|| Some(MyBackend::new()));`, which makes a test of every case. Cases use the
//! store only through the contract, wait for conditions and never for time, and panic with a text
//! that names the broken promise.

mod clock;
mod commits;
mod contention;
mod leases;
mod limits;
mod lists;
mod preconditions;
mod reopening;
mod watches;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;

pub use self::clock::ManualClock;
pub use self::commits::*;
pub use self::contention::*;
pub use self::leases::*;
pub use self::limits::*;
pub use self::lists::*;
pub use self::preconditions::*;
pub use self::reopening::*;
pub use self::watches::*;
use crate::{
    Change, Changes, Commit, Entry, Key, Prefix, Read, Revision, SharedStore, Store, StoreError,
    Watch,
};

/// The suite's access to a backend. Each case makes one and opens it once.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Opens a new, empty store. It keeps at least `kept` revisions; after four times as many
    /// commits it no longer has the first ones.
    async fn open(&self, kept: u64) -> SharedStore;

    /// Closes the store and opens it again with its content, like a restart. None if the backend is
    /// not durable.
    async fn reopen(&self, store: SharedStore) -> Option<SharedStore>;

    /// Advances the clock that the store's leases use.
    async fn pass(&self, time: Duration);
}

/// Makes a test of every case. `$make` is called for each and returns a `Backend`, or none where the
/// backend is missing on this host. The crate that uses it needs tokio with its macros.
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_cases!(tests $make);
    };
}

/// The list of all cases; see `conformance_tests`.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($kind:ident $($make:expr)?) => {
        $crate::conformance_cases! { @$kind [$($make)?]
            put_get_and_delete
            revisions_grow_by_commit
            commit_without_writes_checks_only
            deleting_nothing_changes_nothing
            keys_and_values_of_all_kinds
            commit_is_atomic
            what_nobody_waits_for_is_over_before_a_linear_read
            absent_holds_until_created
            created_at_holds_across_changes
            modified_at_holds_until_changed
            recreated_key_is_another
            first_failing_precondition_is_named
            failed_commit_does_nothing
            precondition_on_a_key_it_writes
            counter_survives_contention
            one_of_many_creators_wins
            parallel_creates_all_succeed
            too_many_writes
            too_many_preconditions
            too_large_values_and_commits
            key_written_twice
            keys_have_a_shape
            too_short_leases
            pages_are_one_revision
            list_is_in_order_of_bytes
            prefix_ends_at_its_slash
            list_of_nothing
            pages_of_large_values_end_early
            list_of_a_forgotten_revision
            list_of_a_future_revision
            watch_equals_list_while_writing
            watch_begins_in_the_past
            watch_sees_a_commit_whole
            watch_reports_what_happened
            watch_sees_its_prefix_only
            two_watches_see_the_same
            dropped_next_loses_nothing
            watch_of_a_forgotten_revision
            slow_watch_is_told
            lease_deletes_its_keys
            lease_ends_not_before_its_time
            renewed_lease_lives_on
            ended_lease_is_lost
            unknown_lease_is_lost
            revoked_lease_ends_at_once
            put_without_lease_unbinds
            put_with_another_lease_rebinds
            deleted_key_is_unbound
            lease_of_many_keys
            lock_by_lease_and_creation
            commits_survive_reopening
            revisions_continue_after_reopening
            leases_start_afresh_after_reopening
        }
    };
    (@tests [$make:expr] $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(backend) = ($make)() else { return };
                let case = $crate::conformance::$case(&backend);
                $crate::conformance::within(stringify!($case), case).await;
            }
        )*
    };
    (@names [] $($case:ident)*) => { [$(stringify!($case)),*] };
}

/// The argument of `open` for cases that do not depend on it.
const KEPT: u64 = 10_000;

/// How long a case waits before a condition counts as never met.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bounds a wait, so that a broken promise is a failure and not a test that hangs.
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: still waiting after {PATIENCE:?}"),
    }
}

fn key(text: impl Into<String>) -> Key {
    Key::new(text).unwrap_or_else(|error| panic!("the case uses a wrong key: {error}"))
}

fn prefix(folder: &str) -> Prefix {
    Prefix::below(folder).unwrap_or_else(|error| panic!("the case uses a wrong prefix: {error}"))
}

/// Unwraps a result that must be a success.
#[track_caller]
fn done<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("the store refused what it must do: {error}"))
}

/// Unwraps the error of a result that must be a refusal.
#[track_caller]
fn refused<T: Debug>(result: Result<T, StoreError>) -> StoreError {
    match result {
        Ok(value) => panic!("the store did what it must refuse: {value:?}"),
        Err(error) => error,
    }
}

async fn put(store: &dyn Store, name: &str, value: &str) -> Revision {
    done(store.commit(Commit::new().put(key(name), value)).await)
}

async fn delete(store: &dyn Store, name: &str) -> Revision {
    done(store.commit(Commit::new().delete(key(name))).await)
}

async fn get(store: &dyn Store, name: &str) -> Option<Entry> {
    done(store.get(&key(name), Read::Linear).await).0
}

/// The value of a key that must exist.
async fn text(store: &dyn Store, name: &str) -> String {
    let entry = get(store, name)
        .await
        .unwrap_or_else(|| panic!("{name} does not exist"));
    String::from_utf8(entry.value).expect("cases that read text wrote text")
}

async fn all(store: &dyn Store, prefix: &Prefix) -> (Vec<Entry>, Revision) {
    done(crate::list_all(store, prefix, Read::Linear).await)
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

async fn next(watch: &mut Box<dyn Watch>) -> Changes {
    done(watch.next().await)
}

/// Reads a watch until it reports that `name` is deleted, and returns that commit.
async fn until_deleted(watch: &mut Box<dyn Watch>, name: &str) -> Changes {
    let wanted = key(name);
    loop {
        let changes = next(watch).await;
        if changes
            .changes
            .iter()
            .any(|c| matches!(c, Change::Delete { key, .. } if *key == wanted))
        {
            return changes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// A case that is not in the list would never run.
    #[test]
    fn every_case_is_listed() {
        let sources = [
            include_str!("commits.rs"),
            include_str!("contention.rs"),
            include_str!("leases.rs"),
            include_str!("limits.rs"),
            include_str!("lists.rs"),
            include_str!("preconditions.rs"),
            include_str!("reopening.rs"),
            include_str!("watches.rs"),
        ];
        let written: BTreeSet<_> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        let listed: BTreeSet<_> = crate::conformance_cases!(names).into_iter().collect();
        assert_eq!(written, listed);
    }
}
