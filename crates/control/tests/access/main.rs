//! Users, groups, roles, rights, tokens, sessions and pools through the whole agent: a request
//! with a credential goes in, an answer or an error comes out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod bench;
mod pools;
mod rights;
mod sessions;
mod users;

use bench::Bench;
use model::ErrorKind;
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

/// Parameters that pass each row's schema, for the operations that need some.
fn sample(name: &str) -> Value {
    json!({
        "userid": "bob@pve", "groupid": "g", "roleid": "r", "realm": "pve", "tokenid": "t1",
        "poolid": "p", "id": "x", "path": "/vms/100", "roles": "PVEAuditor", "users": "bob@pve",
        "type": if name == "domain_create" { "pam" } else { "recovery" },
        "password": "12345678", "username": "x@pve", "authid": "x@pve", "privs": "VM.Audit",
        "vncticket": "x",
    })
}

// covers: S3.79
#[tokio::test]
async fn without_a_credential_or_a_right_nothing_is_done() {
    use proto::{Check, Permission};
    let bench = Bench::with_jane().await;
    let (nobody, jane) = (bench.nobody(), bench.jane().await);
    let mine = |path: &str| path.starts_with("/access") || path.starts_with("/pools");
    for row in proto::table::rows().filter(|row| mine(row.path)) {
        let all = sample(row.name);
        let mut params = json!({});
        for field in row
            .params
            .iter()
            .flat_map(|group| group.iter())
            .filter(|f| !f.optional)
        {
            params[field.name] = all[field.name].clone();
        }
        if !matches!(row.permission, Permission::World) {
            let refused = nobody.error(row.name, params.clone()).await;
            assert_eq!(refused.kind, ErrorKind::Unauthenticated, "{}", row.label());
        }
        if let Permission::Check(Check::On(..) | Check::AnyOn(..) | Check::All(_) | Check::Any(_)) =
            row.permission
        {
            let refused = jane.error(row.name, params).await;
            assert_eq!(
                refused.kind,
                ErrorKind::Forbidden,
                "{}: {refused}",
                row.label()
            );
        }
    }
}
