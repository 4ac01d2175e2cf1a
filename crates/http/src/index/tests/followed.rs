//! Who follows the changes has what the lists show, whenever it looks and whatever happened.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::Seen;
use super::kept::{Event, USERS, event, fixture, identity};
use super::*;

/// A client of the change stream.
#[derive(Default)]
struct Follower {
    seen: Option<Seen>,
    rows: BTreeMap<String, Value>,
    resets: usize,
}

/// Clients count the time by themselves.
fn without_time(mut row: Value) -> Value {
    row.as_object_mut().unwrap().remove("uptime");
    row
}

fn by_id(rows: &Value) -> BTreeMap<String, Value> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| {
        (
            row["id"].as_str().unwrap().to_owned(),
            without_time(row.clone()),
        )
    })
    .collect()
}

impl Follower {
    /// Takes the messages that have arrived; answers them.
    fn look(&mut self, fixture: &Fixture, who: &Identity) -> Value {
        let changes = fixture.index.changes(who, self.seen.as_ref()).unwrap();
        let (head, rows, tail) = changes.text();
        let text = [head.as_bytes(), &rows.concat(), tail.as_bytes()].concat();
        let message: Value = serde_json::from_slice(&text).unwrap();
        if message["reset"] == 1 {
            self.rows.clear();
            self.resets += 1;
        }
        for id in message["gone"].as_array().unwrap() {
            self.rows.remove(id.as_str().unwrap());
        }
        self.rows.extend(by_id(&message["rows"]));
        self.seen = Some(changes.seen);
        message
    }

    /// Comes back on another connection, with what it was told to come back with.
    fn reconnect(&mut self, fixture: &Fixture, who: &Identity) {
        let revision = self.seen.as_ref().map(|seen| seen.revision().to_string());
        let revision = revision.and_then(|text| text.parse().ok());
        self.seen = revision.and_then(|revision| fixture.index.seen(who, revision));
    }

    fn check(&mut self, fixture: &Fixture, who: &Identity) {
        self.look(fixture, who);
        let list = fixture.ask(who, "cluster_resources", json!({})).unwrap();
        let mut rows = by_id(&list);
        rows.extend(by_id(&fixture.alerts_anew(who).into()));
        assert_eq!(self.rows, rows, "{}", who.user);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn a_follower_has_what_the_list_shows(
        // What happens, who looks then (or no caller), and whether on a new connection.
        steps in prop::collection::vec((event(), 0..6_usize, any::<bool>()), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut fixture = fixture(100..180).await;
            let mut followers: [Follower; USERS.len() + 1] = Default::default();
            let who = |at: usize| USERS.get(at).map_or_else(Identity::root, |user| identity(user));
            for (event, looks, is_new) in &steps {
                fixture.happen(event).await;
                if let Some(follower) = followers.get_mut(*looks) {
                    if *is_new {
                        follower.reconnect(&fixture, &who(*looks));
                    }
                    follower.check(&fixture, &who(*looks));
                }
            }
            for (at, follower) in followers.iter_mut().enumerate() {
                follower.check(&fixture, &who(at));
            }
        });
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().or(row.as_str()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_follower_hears_what_has_changed_and_no_more() {
    let mut fixture = fixture(100..180).await;
    let (mut root, who) = (Follower::default(), Identity::root());
    let first = root.look(&fixture, &who);
    assert_eq!(
        (first["reset"].clone(), ids(&first["rows"]).len()),
        (json!(1), 81)
    );
    fixture.happen(&Event::Time(3_000)).await;
    assert!(
        fixture
            .index
            .changes(&who, root.seen.as_ref())
            .unwrap()
            .is_empty()
    );
    fixture.happen(&Event::Put(133)).await;
    fixture.happen(&Event::Runs(140)).await;
    fixture.happen(&Event::Runs(140)).await;
    fixture.happen(&Event::Put(500)).await;
    fixture.happen(&Event::Delete(500)).await;
    fixture.happen(&Event::Delete(150)).await;
    let second = root.look(&fixture, &who);
    assert_eq!(ids(&second["rows"]), ["qemu/133", "qemu/140"]);
    assert_eq!(ids(&second["gone"]), ["qemu/500", "qemu/150"]);
    assert_eq!(second["reset"], json!(0));
    // Its node says nothing more.
    fixture.happen(&Event::Time(60_000)).await;
    let third = root.look(&fixture, &who);
    assert_eq!(ids(&third["rows"]).len(), 80);
    assert_eq!(root.resets, 1);
}

#[tokio::test]
async fn a_right_that_is_taken_takes_the_rows_and_nothing_is_said_of_others() {
    let mut fixture = fixture(100..110).await;
    let ann = identity(USERS[0]);
    let mut follower = Follower::default();
    // On /vms/103.
    fixture.happen(&Event::Grant(0, 2, 0)).await;
    let first = follower.look(&fixture, &ann);
    assert_eq!(ids(&first["rows"]), ["qemu/103", "node/pve1"]);
    fixture.happen(&Event::Put(104)).await;
    fixture.happen(&Event::Delete(105)).await;
    assert!(
        fixture
            .index
            .changes(&ann, follower.seen.as_ref())
            .unwrap()
            .is_empty()
    );
    fixture.happen(&Event::Grant(0, 2, 1)).await;
    let second = follower.look(&fixture, &ann);
    assert_eq!(
        (ids(&second["rows"]).len(), ids(&second["gone"])),
        (0, vec!["qemu/103"])
    );
    // All are given, taken, and one more is made: it was never hers.
    fixture.happen(&Event::Grant(0, 1, 0)).await;
    follower.look(&fixture, &ann);
    fixture.happen(&Event::Grant(0, 1, 1)).await;
    fixture.happen(&Event::Put(300)).await;
    let third = follower.look(&fixture, &ann);
    assert!(!ids(&third["gone"]).contains(&"qemu/300"));
    assert_eq!(follower.rows.keys().collect::<Vec<_>>(), ["node/pve1"]);
}

#[tokio::test]
async fn what_is_no_revision_or_too_old_begins_anew() {
    let mut fixture = fixture(100..110).await;
    let who = Identity::root();
    let mut follower = Follower::default();
    follower.look(&fixture, &who);
    let good = follower.seen.as_ref().unwrap().revision().to_string();
    let (_, rest) = good.split_once('-').unwrap();
    let other_process = format!("0-{rest}");
    let future = good.replacen('-', "-ff", 1);
    for (since, reset) in [
        (good.as_str(), 0),
        (&other_process, 1),
        (&future, 1),
        ("", 1),
        ("1-2", 1),
        ("x-y-z", 1),
    ] {
        let answer = fixture.root("changes", json!({"since": since}));
        assert_eq!(answer["reset"], reset, "{since}");
    }
    // Another caller's revision is none of one's own.
    let ann = fixture.ask(&identity(USERS[0]), "changes", json!({"since": good}));
    assert_eq!(ann.unwrap()["reset"], 1);
    // More goes than is remembered.
    for vmid in 1_000..2_001 {
        fixture.happen(&Event::Put(vmid)).await;
        fixture.happen(&Event::Delete(vmid)).await;
    }
    let answer = fixture.root("changes", json!({"since": good}));
    assert_eq!(answer["reset"], 1);
}

#[tokio::test]
async fn alerts_come_change_and_go_and_are_no_resources() {
    let mut fixture = fixture(100..110).await;
    let (ann, who) = (identity(USERS[0]), Identity::root());
    let (mut root, mut follower) = (Follower::default(), Follower::default());
    // On /vms/103.
    fixture.happen(&Event::Grant(0, 2, 0)).await;
    root.look(&fixture, &who);
    follower.look(&fixture, &ann);
    fixture
        .happen(&Event::Alerts(vec![(0, false), (1, false)]))
        .await;
    let opened = root.look(&fixture, &who);
    assert_eq!(ids(&opened["rows"]), ["alert/trouble/0", "alert/trouble/1"]);
    let opened = follower.look(&fixture, &ann);
    let row = json!({"id": "alert/trouble/1", "type": "alert", "alert": "trouble/1", "node": "pve1",
        "severity": "warning", "object": "qemu/103", "since": 5, "text": "what", "advice": "do"});
    assert_eq!(opened["rows"], json!([row]));
    // The same list again is no news.
    fixture
        .happen(&Event::Alerts(vec![(0, false), (1, false)]))
        .await;
    let changes = fixture.index.changes(&who, root.seen.as_ref()).unwrap();
    assert!(changes.is_empty());
    fixture.happen(&Event::Alerts(vec![(0, true)])).await;
    let changed = root.look(&fixture, &who);
    let known = json!({"by": "root@pam", "at": 7});
    assert_eq!(changed["rows"][0]["acknowledged"], known);
    assert_eq!(changed["gone"], json!(["alert/trouble/1"]));
    let changed = follower.look(&fixture, &ann);
    assert_eq!(changed["rows"], json!([]));
    assert_eq!(changed["gone"], json!(["alert/trouble/1"]));
    let list = fixture.root("cluster_resources", json!({}));
    assert!(ids(&list).iter().all(|id| !id.starts_with("alert")));
}
