//! Every operation while the store has no majority.

use std::sync::Arc;

use model::{Clock, Error, ErrorKind};
use proto::{Form, Needs, Permission, Row, Verb};
use serde_json::{Value, json};
use store::{MemoryStore, SharedStore};
use testkit::{ManualClock, MinorityStore};

use super::bench::{Bench, JANE, PASSWORD};
use super::samples::required;

const NO_QUORUM: &str = "cluster not ready - no quorum?";

/// A node with guest 100 and Jane, who has no rights, and its store.
async fn scene() -> (Bench, Arc<MinorityStore>) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let whole: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
    let store = Arc::new(MinorityStore::new(whole, clock.clone()));
    let bench = Bench::on("pve1", store.clone(), clock, None).await;
    bench.add_guest(100, "web").await;
    bench.add_local().await;
    let user = json!({"userid": JANE, "password": PASSWORD});
    bench.root().ok("user_create", user).await;
    (bench, store)
}

fn rows(needs: Needs) -> impl Iterator<Item = &'static Row> {
    proto::table::rows().filter(move |row| row.needs == needs && row.form != Form::Index)
}

/// covers: S2.7 S3.83
#[tokio::test]
async fn every_change_is_refused_before_it_begins() {
    let (bench, store) = scene().await;
    store.lose();
    for row in rows(Needs::Quorum) {
        let (caller, explains) = match row.permission {
            Permission::World => (bench.nobody(), false),
            _ => (bench.root(), true),
        };
        let refused = caller.error(row.name, required(row)).await;
        assert!(
            refused.message.starts_with(NO_QUORUM),
            "{}: {refused}",
            row.name
        );
        let has_more = refused.message.len() > NO_QUORUM.len();
        assert_eq!(has_more, explains, "{}: {refused}", row.name);
    }
    let jane = bench.jane().await;
    let refused = jane.error("pool_create", json!({"poolid": "p"})).await;
    assert_eq!(refused.kind, ErrorKind::Forbidden, "{refused}");
}

/// What such an operation answers depends on what the host of this test lacks.
#[tokio::test]
async fn what_is_local_reads_nothing_that_needs_a_majority() {
    let (bench, store) = scene().await;
    store.lose();
    for row in rows(Needs::Local) {
        let answer: Result<Value, Error> = match row.form {
            Form::Stream => bench
                .root()
                .ask_stream(row.name, required(row))
                .await
                .map(|()| Value::Null),
            _ => bench
                .root()
                .ask(row.name, required(row))
                .await
                .map(|answer| {
                    assert!(answer.age_s.is_some(), "{}", row.name);
                    answer.data
                }),
        };
        if let Err(error) = answer {
            assert!(
                !error.message.contains("no quorum"),
                "{}: {error}",
                row.name
            );
        }
    }
    let reads = rows(Needs::Local).filter(|row| row.verb == Verb::Get);
    assert!(reads.count() > 50);
}

#[tokio::test]
async fn what_waits_for_a_majority_works_when_it_is_back() {
    let (bench, store) = scene().await;
    let rename = json!({"node": "pve1", "vmid": 100, "name": "other"});
    store.lose();
    let refused = bench.root().error("qemu_configure", rename.clone()).await;
    assert!(
        refused.message.contains("(a test took it away)"),
        "{refused}"
    );
    let config = json!({"node": "pve1", "vmid": 100});
    let answer = bench
        .root()
        .ask("qemu_config", config.clone())
        .await
        .unwrap();
    assert_eq!(
        (&answer.data["name"], answer.age_s),
        (&json!("web"), Some(0))
    );
    store.regain();
    bench.root().ok("qemu_configure", rename).await;
    let answer = bench.root().ask("qemu_config", config).await.unwrap();
    assert_eq!(
        (&answer.data["name"], answer.age_s),
        (&json!("other"), None)
    );
}
