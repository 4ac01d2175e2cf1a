//! Who may acknowledge an alert, and what becomes of that.

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, ErrorKind};
use serde_json::{Value, json};
use store::{MemoryStore, Prefix, Read, SharedStore, list_all};
use testkit::ManualClock;

use crate::bench::{Bench, Caller, JANE, PASSWORD};

const FAILED: &str = "task-failed/pve1/qmstart/100";
const DAY: Duration = Duration::from_secs(24 * 3600 + 1);

struct Scene {
    clock: ManualClock,
    store: SharedStore,
    bench: Bench,
}

impl Scene {
    /// A node with a task that has failed, and Jane without rights.
    async fn new() -> Self {
        let clock = ManualClock::default();
        let store: SharedStore = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        let bench = bench(&store, &clock).await;
        let scene = Self {
            clock,
            store,
            bench,
        };
        let root = scene.bench.root();
        root.ok("user_create", json!({"userid": JANE, "password": PASSWORD}))
            .await;
        scene.bench.add_guest(100, "web").await;
        scene.fail().await;
        scene
    }

    /// Starts the guest, which cannot start here.
    async fn fail(&self) {
        let about = json!({"node": "pve1", "vmid": 100});
        self.bench.root().ok("qemu_start", about).await;
        self.look_until(async || !alerts(&self.bench.root()).await.is_empty())
            .await;
    }

    /// Looks for alerts until this holds, while time passes.
    async fn look_until(&self, holds: impl AsyncFn() -> bool) {
        let context = &self.bench.context;
        tokio::select! {
            () = node::follow_alerts(&context.node, &context.tasks) => unreachable!(),
            () = async {
                while !holds().await {
                    self.clock.advance(Duration::from_secs(1));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            } => {}
        }
    }

    async fn grant(&self, path: &str, role: &str) {
        let entry = json!({"path": path, "users": JANE, "roles": role});
        self.bench.root().ok("acl_update", entry).await;
    }

    /// How many acknowledgements are kept.
    async fn kept(&self) -> usize {
        let prefix = Prefix::below("alert").unwrap();
        let (entries, _) = list_all(&*self.store, &prefix, Read::Linear).await.unwrap();
        entries.len()
    }
}

async fn bench(store: &SharedStore, clock: &ManualClock) -> Bench {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Bench::on("pve1", store.clone(), clock, None).await
}

async fn alerts(caller: &Caller<'_>) -> Vec<Value> {
    let list = caller.ok("ostler_alerts", json!({})).await;
    list.as_array().unwrap().clone()
}

#[tokio::test]
async fn ostler_alert_acknowledge() {
    let scene = Scene::new().await;
    let jane = scene.bench.jane().await;
    let known = json!({"id": FAILED, "comment": " the disk is on its way "});
    let acknowledge = "ostler_alert_acknowledge";
    // Who may not see it is not told that it is there.
    let refused = jane.error(acknowledge, known.clone()).await;
    let unknown = jane.error(acknowledge, json!({"id": "quorum"})).await;
    assert_eq!(refused.kind, ErrorKind::NotFound);
    assert_eq!(refused.message, unknown.message.replace("quorum", FAILED));
    // To see it is not enough.
    scene.grant("/nodes/pve1", "PVEAuditor").await;
    assert_eq!(alerts(&jane).await.len(), 1);
    let refused = jane.error(acknowledge, known.clone()).await;
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(
        refused.message.contains("/nodes/pve1, Sys.Modify"),
        "{refused}"
    );
    let long = json!({"id": FAILED, "comment": "x".repeat(501)});
    let refused = jane.error(acknowledge, long).await;
    assert!(refused.fields.contains_key("comment"), "{refused}");
    assert_eq!(scene.kept().await, 0);

    scene.grant("/nodes/pve1", "Administrator").await;
    jane.ok(acknowledge, known).await;
    let found = alerts(&scene.bench.root()).await;
    let expected = json!({"by": JANE, "at": scene.clock.wall(),
        "comment": "the disk is on its way"});
    assert_eq!(found[0]["acknowledged"], expected);
    let log = scene.bench.root().ok("cluster_log", json!({})).await;
    let line = format!("alert '{FAILED}' is acknowledged: the disk is on its way");
    let is_told = |row: &Value| row["msg"] == line.as_str() && row["user"] == JANE;
    assert!(log.as_array().unwrap().iter().any(is_told), "{log}");
}

#[tokio::test]
async fn ostler_alert_unacknowledge() {
    let scene = Scene::new().await;
    let root = scene.bench.root();
    let about = json!({"id": FAILED});
    let refused = root
        .error("ostler_alert_unacknowledge", about.clone())
        .await;
    assert_eq!(refused.kind, ErrorKind::NotFound);
    root.ok("ostler_alert_acknowledge", about.clone()).await;
    let jane = scene.bench.jane().await;
    let hidden = jane
        .error("ostler_alert_unacknowledge", about.clone())
        .await;
    assert_eq!(hidden.kind, ErrorKind::NotFound);
    root.ok("ostler_alert_unacknowledge", about).await;
    assert_eq!(alerts(&root).await[0].get("acknowledged"), None);
    assert_eq!(scene.kept().await, 0);
}

#[tokio::test]
async fn an_acknowledgement_ends_with_its_alert() {
    let scene = Scene::new().await;
    let root = scene.bench.root();
    root.ok("ostler_alert_acknowledge", json!({"id": FAILED}))
        .await;
    scene.clock.advance(DAY);
    scene.look_until(async || scene.kept().await == 0).await;
    assert!(alerts(&root).await.is_empty());
    scene.fail().await;
    assert_eq!(alerts(&root).await[0].get("acknowledged"), None);
}

#[tokio::test]
async fn what_closed_while_there_was_no_agent_is_forgotten_after_two_minutes() {
    let mut scene = Scene::new().await;
    let about = json!({"id": FAILED});
    scene
        .bench
        .root()
        .ok("ostler_alert_acknowledge", about)
        .await;
    // Another agent of the node, which has no such task.
    scene.bench = bench(&scene.store, &scene.clock).await;
    let began = scene.clock.monotonic();
    scene.look_until(async || scene.kept().await == 0).await;
    let waited = (scene.clock.monotonic() - began).as_secs();
    assert!((120..140).contains(&waited), "{waited}");
}
