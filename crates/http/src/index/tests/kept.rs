//! What is kept and shared is what would be written anew, for each caller and at each moment.

use std::collections::BTreeMap;

use auth::keys;
use auth::records::{AclEntry, AclNode, Pool, SubjectKind, User};
use model::Privilege;
use proptest::prelude::*;
use proto::alerts::{Acknowledgement, Alert, OpenAlert, Severity, Subject};

use super::super::Frame;
use super::super::node_status::Tick;
use super::super::table::Guest;
use super::super::text::Shape;
use super::*;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Put(u32),
    Delete(u32),
    Runs(u32),
    Ends(u32),
    /// The node says all it knows.
    Complete(u32),
    Time(u64),
    Pool(Vec<u32>),
    /// A user's role on a path.
    Grant(usize, usize, usize),
    /// Which of a few storages becomes what.
    Storage(usize, Stored),
    /// Which of a few alerts are open, each in one of two forms.
    Alerts(Vec<(usize, bool)>),
    Snapshot,
}

#[derive(Debug, Clone)]
pub(super) enum Stored {
    Here,
    Elsewhere,
    Disabled,
    Nowhere,
}

pub(super) const USERS: [&str; 3] = ["ann@pve", "ben@pve", "cat@pve"];
const PATHS: [&str; 6] = [
    "/",
    "/vms",
    "/vms/103",
    "/vms/170",
    "/pool/lab",
    "/storage/s1",
];
const ROLES: [&str; 4] = ["PVEAuditor", "NoAccess", "PVEVMUser", "PVEDatastoreUser"];

/// The number of alerts' subjects.
const SUBJECTS: usize = 5;

/// An alert about one of a few things. Its other form was acknowledged; a guest's is its node's then.
pub(super) fn open_alert(at: usize, is_other: bool) -> OpenAlert {
    let node = || "pve1".parse().unwrap();
    let guest = |vmid| Subject::Guest(GuestKind::Qemu, VmId::new(vmid).unwrap());
    let storage = "s1".parse().unwrap();
    let subject = match (at, is_other) {
        (0, _) => Subject::Cluster,
        (1, false) => guest(103),
        (1, true) | (2, _) => Subject::Node(node()),
        (3, _) => guest(170),
        _ => Subject::Storage {
            node: node(),
            storage,
        },
    };
    let acknowledgement = Acknowledgement {
        by: "root@pam".to_owned(),
        at: 7,
        comment: String::new(),
    };
    OpenAlert {
        node: node(),
        alert: Alert {
            id: format!("trouble/{at}"),
            severity: Severity::Warning,
            subject,
            since: 5,
            text: "what".to_owned(),
            advice: "do".to_owned(),
        },
        acknowledged: is_other.then_some(acknowledgement),
    }
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    // A few hundred ids: chunks become full and empty.
    let vmid = || 100_u32..400;
    prop_oneof![
        6 => vmid().prop_map(Event::Put),
        2 => vmid().prop_map(Event::Delete),
        4 => vmid().prop_map(Event::Runs),
        1 => vmid().prop_map(Event::Ends),
        1 => vmid().prop_map(Event::Complete),
        3 => (0_u64..40_000).prop_map(Event::Time),
        1 => prop::collection::vec(vmid(), 0..9).prop_map(Event::Pool),
        2 => (0..USERS.len(), 0..PATHS.len(), 0..ROLES.len())
            .prop_map(|(user, path, role)| Event::Grant(user, path, role)),
        1 => (0_usize..3, stored()).prop_map(|(id, stored)| Event::Storage(id, stored)),
        2 => alerts().prop_map(Event::Alerts),
        1 => Just(Event::Snapshot),
    ]
}

fn alerts() -> impl Strategy<Value = Vec<(usize, bool)>> {
    prop::collection::vec((0..SUBJECTS, any::<bool>()), 0..4)
}

fn stored() -> impl Strategy<Value = Stored> {
    prop_oneof![
        Just(Stored::Here),
        Just(Stored::Elsewhere),
        Just(Stored::Disabled),
        Just(Stored::Nowhere),
    ]
}

impl Fixture {
    pub(super) async fn happen(&mut self, event: &Event) {
        match event {
            Event::Put(vmid) => self.put_guest(*vmid, &format!("vm\"uptime\":{vmid}")).await,
            Event::Delete(vmid) => {
                let key = Key::new(format!("guest/{vmid}")).unwrap();
                let deletion = Commit::new().delete(key);
                self.store.commit(deletion).await.unwrap();
            }
            Event::Runs(vmid) => self.status(update(false, vec![running(*vmid, 8)])),
            Event::Ends(vmid) => {
                let ended = GuestUsage::stopped(VmId::new(*vmid).unwrap());
                self.status(update(false, vec![ended]));
            }
            Event::Complete(from) => {
                let guests = (*from..from + 50).map(|vmid| running(vmid, 3));
                self.status(update(true, guests.collect()));
            }
            Event::Time(ms) => self.clock.advance(Duration::from_millis(*ms)),
            Event::Pool(guests) => {
                let pool = Pool {
                    guests: guests.iter().copied().collect(),
                    ..Pool::default()
                };
                self.put(keys::pool(&PoolId::new("lab").unwrap()), pool)
                    .await;
            }
            Event::Grant(user, path, role) => {
                let entries = vec![AclEntry {
                    kind: SubjectKind::User,
                    id: USERS[*user].into(),
                    role: ROLES[*role].into(),
                    propagate: true,
                }];
                self.put(keys::acl(PATHS[*path]).unwrap(), AclNode { entries })
                    .await;
            }
            Event::Alerts(those) => {
                let those: BTreeMap<usize, bool> = those.iter().copied().collect();
                let list = those
                    .iter()
                    .map(|(at, is_other)| open_alert(*at, *is_other));
                let message = WatchMessage::Alerts(list.collect());
                self.index.accept(message).unwrap();
            }
            Event::Storage(id, stored) => self.store_as(&format!("s{id}"), stored).await,
            Event::Snapshot => {
                self.index.writer().reconnect();
                self.feed = store::feed(self.store.clone(), Vec::new());
                let first = self.feed.next().await.unwrap();
                self.index.accept(WatchMessage::Store(first)).unwrap();
            }
        }
        self.catch_up().await;
    }

    async fn store_as(&self, id: &str, stored: &Stored) {
        let key = Key::new(format!("storage/{id}")).unwrap();
        let mut record = json!({"id": id, "type": "dir", "path": "/x", "content": ["iso"]});
        match stored {
            Stored::Here => {}
            Stored::Elsewhere => record["nodes"] = json!(["other"]),
            Stored::Disabled => record["disable"] = json!(true),
            Stored::Nowhere => {
                let deletion = Commit::new().delete(key);
                self.store.commit(deletion).await.unwrap();
                return;
            }
        }
        self.put(key, record).await;
    }

    /// The alerts that a caller may see, each right checked for itself.
    pub(super) fn alerts_anew(&self, who: &Identity) -> Vec<Value> {
        let (snapshot, _) = self.index.now();
        let access = &snapshot.rights.access;
        let view = access.view(who, model::Clock::wall(&self.clock));
        let seen = |open: &&OpenAlert| {
            let subject = &open.alert.subject;
            let privileges: &[Privilege] = match subject {
                Subject::Cluster | Subject::Node(_) => &[Privilege::SysAudit],
                Subject::Guest(..) => &[Privilege::VmAudit],
                Subject::Storage { .. } => {
                    &[Privilege::DatastoreAudit, Privilege::DatastoreAllocateSpace]
                }
            };
            view.has_any(&subject.path(), privileges)
        };
        let alerts = snapshot.alerts.values().map(|row| &row.value);
        let row = |open: &OpenAlert| {
            let mut row = open.row();
            row["type"] = "alert".into();
            row["alert"] = row["id"].clone();
            row["id"] = format!("alert/{}", open.alert.id).into();
            row
        };
        alerts.filter(seen).map(row).collect()
    }

    /// The rows of a list, each written for itself and each right checked for itself.
    fn anew(&self, who: &Identity, shape: Shape) -> Vec<Value> {
        let (snapshot, tick): (_, Tick) = self.index.now();
        let access = &snapshot.rights.access;
        let view = access.view(who, model::Clock::wall(&self.clock));
        let seen = |guest: &&Guest| view.has(&format!("/vms/{}", guest.vmid), Privilege::VmAudit);
        let guests = snapshot.guests.chunks().iter().flat_map(|c| c.guests());
        guests
            .filter(seen)
            .map(|guest| {
                let mut text = Vec::new();
                shape.write(guest, tick, &mut text);
                serde_json::from_slice(&text).unwrap()
            })
            .collect()
    }

    fn list(&self, who: &Identity, op: &str, params: Value) -> Arc<crate::index::List> {
        let row = table::row(op).unwrap();
        let params = row.check_params(params.as_object().unwrap()).unwrap();
        match self.index.answer(row, who, &params).unwrap() {
            Content::List(list) => list,
            _ => panic!("{op} is not kept"),
        }
    }

    /// Asks for every list and compares; compressed too.
    fn check(&self, who: &Identity) {
        for (op, params, shape) in [
            ("cluster_resources", json!({"type": "vm"}), Shape::Resource),
            ("qemu_list", json!({"node": "pve1"}), Shape::List),
            (
                "qemu_list",
                json!({"node": "pve1", "full": 1}),
                Shape::FullList,
            ),
        ] {
            let list = self.list(who, op, params);
            let text = list.text();
            let rows: Vec<Value> = serde_json::from_slice(&text).unwrap();
            assert_eq!(rows, self.anew(who, shape), "{op} of {}", who.user);
            assert_eq!(unpacked(&list), text, "{op} of {}", who.user);
        }
    }
}

fn unpacked(list: &crate::index::List) -> Vec<u8> {
    let packed = list.packed(Frame::Data);
    let packed = [&packed.head[..], &packed.pieces.concat(), &packed.tail].concat();
    let mut text = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
    std::io::Read::read_to_end(&mut decoder, &mut text).unwrap();
    let (before, after) = Frame::Data.text();
    text[before.len()..text.len() - after.len()].to_vec()
}

pub(super) fn identity(user: &str) -> Identity {
    Identity {
        user: user.parse().unwrap(),
        ..Identity::root()
    }
}

pub(super) async fn fixture(guests: std::ops::Range<u32>) -> Fixture {
    let mut fixture = Fixture::new();
    for vmid in guests {
        fixture.put_guest(vmid, "vm").await;
    }
    for user in USERS {
        let key = keys::user(&user.parse().unwrap());
        fixture.put(key, User::default()).await;
    }
    fixture.catch_up().await;
    fixture.status(update(true, vec![running(101, 5), running(150, 5)]));
    fixture
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn nobody_gets_what_is_not_true_or_not_theirs(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut fixture = fixture(100..200).await;
            for (number, event) in events.iter().enumerate() {
                fixture.happen(event).await;
                // Not every list is asked for after every event.
                fixture.check(&identity(USERS[number % USERS.len()]));
                if number % 4 == 0 {
                    fixture.check(&Identity::root());
                }
            }
        });
    }
}

#[tokio::test]
async fn a_list_is_kept_until_something_in_it_changes() {
    let mut fixture = fixture(100..300).await;
    let root = Identity::root();
    let vms = || json!({"type": "vm"});
    let ended = [101, 150].map(|vmid| GuestUsage::stopped(VmId::new(vmid).unwrap()));
    fixture.status(update(false, ended.to_vec()));
    let first = fixture.list(&root, "cluster_resources", vms());
    // Neither time, nor what a node says of itself, nor a record that no list shows.
    fixture.clock.advance(Duration::from_secs(5));
    fixture.status(update(true, Vec::new()));
    fixture
        .put(Key::new("other/thing").unwrap(), json!({}))
        .await;
    fixture.catch_up().await;
    let second = fixture.list(&root, "cluster_resources", vms());
    assert!(Arc::ptr_eq(&first, &second));
    fixture.put_guest(133, "changed").await;
    fixture.catch_up().await;
    let third = fixture.list(&root, "cluster_resources", vms());
    assert_ne!(second.tag, third.tag);
    let shared = |one: &[bytes::Bytes], other: &[bytes::Bytes]| {
        let pairs = one.iter().zip(other);
        pairs.filter(|(a, b)| a.as_ptr() == b.as_ptr()).count()
    };
    // 200 guests are seven chunks, of which one was written again.
    assert_eq!(shared(second.pieces(), third.pieces()), 6);
}

#[tokio::test]
async fn those_who_see_the_same_share_a_list_and_others_never() {
    let mut fixture = fixture(100..200).await;
    let grant = |user, path, role| Event::Grant(user, path, role);
    fixture.happen(&grant(0, 1, 0)).await;
    let vms = |fixture: &Fixture, who: &str| {
        fixture.list(&identity(who), "cluster_resources", json!({"type": "vm"}))
    };
    let (ann, ben) = (vms(&fixture, "ann@pve"), vms(&fixture, "ben@pve"));
    assert_eq!((ann.text().len() > 2, ben.text()), (true, b"[]".to_vec()));
    assert!(Arc::ptr_eq(&ben, &vms(&fixture, "cat@pve")));
    // The right goes from one to the other.
    fixture.happen(&grant(1, 1, 0)).await;
    let (now_ann, now_ben) = (vms(&fixture, "ann@pve"), vms(&fixture, "ben@pve"));
    assert_eq!(now_ann.text(), b"[]");
    assert_eq!(now_ben.text(), ann.text());
}

#[tokio::test]
async fn time_passes_in_kept_lists() {
    let fixture = fixture(100..110).await;
    let uptime = || {
        let rows = fixture.root("cluster_resources", json!({"type": "vm"}));
        rows[1]["uptime"].as_u64().unwrap()
    };
    // Through one more digit, and never more than has passed.
    let seen: Vec<u64> = (0..12)
        .map(|_| {
            let seen = uptime();
            fixture.clock.advance(Duration::from_millis(900));
            seen
        })
        .collect();
    assert_eq!(seen, [5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 14]);
}

#[tokio::test]
async fn an_account_that_expires_sees_nothing_more() {
    let mut fixture = fixture(100..110).await;
    fixture.happen(&Event::Grant(0, 0, 0)).await;
    let user: UserId = USERS[0].parse().unwrap();
    let expire = model::Clock::wall(&fixture.clock) + 60;
    let record = User {
        expire,
        ..User::default()
    };
    fixture.put(keys::user(&user), record).await;
    fixture.catch_up().await;
    let seen = |fixture: &Fixture| {
        let list = fixture.list(&identity(USERS[0]), "qemu_list", json!({"node": "pve1"}));
        let rows: Vec<Value> = serde_json::from_slice(&list.text()).unwrap();
        rows.len()
    };
    assert_eq!(seen(&fixture), 10);
    fixture.clock.advance(Duration::from_secs(59));
    assert_eq!(seen(&fixture), 10);
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(seen(&fixture), 0);
}
