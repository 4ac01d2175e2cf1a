//! Users, groups, roles, rights, tokens, sessions and pools through the whole agent: from a request
//! with a credential to an answer or an error.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod adopt;
mod alerts;
mod bench;
mod cloudinit;
mod contents;
mod cpu_models;
mod deployment;
mod exports;
mod isolation;
mod mappings;
mod minority;
mod options;
mod permissions;
mod pools;
mod profiles;
mod removable;
mod rescan;
mod rights;
mod samples;
mod sessions;
mod snapshot_jobs;
mod snapshots;
mod tiers;
mod users;
mod volumes;

use bench::Bench;
use serde_json::{Value, json};

fn by<'a>(rows: &'a Value, key: &str, value: &str) -> &'a Value {
    let rows = rows.as_array().unwrap();
    rows.iter()
        .find(|row| row[key] == value)
        .unwrap_or_else(|| panic!("no {value} in {rows:?}"))
}

#[tokio::test]
async fn every_row_of_access_and_pools_has_its_function() {
    let pairs: Vec<&str> = control::ops::pairs().map(|(name, _)| *name).collect();
    let mine = |path: &str| path.starts_with("/access") || path.starts_with("/pools");
    let rows: Vec<&str> = proto::table::rows()
        .filter(|row| mine(row.path))
        .map(|row| row.name)
        .collect();
    assert_eq!(rows.len(), 48);
    for row in rows {
        assert!(pairs.contains(&row), "{row} has no function");
    }
}

#[tokio::test]
async fn a_change_says_at_which_revision_it_happened() {
    let bench = Bench::new().await;
    let answer = bench
        .root()
        .ask("pool_create", json!({"poolid": "p1"}))
        .await
        .unwrap();
    let (_, now) = bench
        .context
        .store
        .get(&"x".parse().unwrap(), store::Read::Linear)
        .await
        .unwrap();
    assert_eq!(answer.revision, Some(now.0));
}
