//! What a member answers by asking the owner.

use std::fs::File;
use std::io::Write;

use model::{Error, ErrorKind, Upid};
use proto::wire::{Peer, Request, Service, Streamed, finish};
use proto::{Credential, Form, Row, Target};
use serde_json::{Value, json};

use crate::bench::{Bench, Caller, JANE};
use crate::net::{Net, Node, until};
use crate::samples::required;

/// Parameters for an operation of the second node.
fn on_two(row: &Row) -> Value {
    let mut params = required(row);
    params["node"] = "pve2".into();
    if let Some(upid) = params.get_mut("upid") {
        *upid = upid.as_str().unwrap().replace("pve1", "pve2").into();
    }
    params
}

/// The operations of one node. Those that begin a stream have a part without one.
fn rows() -> impl Iterator<Item = &'static Row> {
    let asked = |row: &&Row| row.target == Target::Node && row.form != Form::Index;
    proto::table::rows().filter(asked)
}

#[tokio::test]
async fn every_operation_of_a_node_is_answered_by_that_node() {
    let (_net, one, two) = Net::two().await;
    let mut answered = 0;
    for row in rows() {
        let answer = one.bench.root().ask(row.name, on_two(row)).await;
        answered += usize::from(answer.is_ok());
        let is_of_the_way = |error: &Error| {
            let text = "Authentication failed!";
            error.message == text
                || matches!(error.kind, ErrorKind::NodeUnreachable | ErrorKind::NodeLost)
        };
        assert!(
            !answer.as_ref().is_err_and(is_of_the_way),
            "{}: {answer:?}",
            row.label()
        );
        let received = two.received.take();
        let ops: Vec<&str> = received.iter().map(|(_, asked)| &*asked.op).collect();
        assert_eq!(ops, [row.name]);
        assert!(matches!(received[0].1.credential, Credential::Vouched(_)));
        assert_eq!(received[0].1.address.as_deref(), Some("10.0.0.1"));
    }
    assert!(answered > 10, "{answered}");
    assert_eq!(one.received.ops(), Vec::<String>::new());
}

/// Callers without rights: no one, a process that claims to be root, and these credentials.
fn callers(bench: &Bench, credentials: [Credential; 2]) -> Vec<Caller<'_>> {
    let mut callers = vec![bench.nobody(), bench.impostor()];
    callers.extend(credentials.map(|credential| bench.hostile_api(credential)));
    callers
}

#[tokio::test]
async fn rights_are_the_same_at_every_node() {
    let (_net, one, two) = Net::two().await;
    let (ticket, csrf) = one.bench.session_of_jane().await;
    for row in rows() {
        let tickets = [ticket.clone(), ticket.replace(JANE, "root@pam")];
        let credentials = tickets.map(|ticket| Credential::Ticket {
            ticket,
            csrf: Some(csrf.clone()),
        });
        let direct = callers(&two.bench, credentials.clone());
        let forwarded = callers(&one.bench, credentials);
        for (at_two, by_way_of_one) in direct.iter().zip(&forwarded) {
            let forwarded = by_way_of_one.ask(row.name, on_two(row)).await.err();
            let direct = at_two.ask(row.name, on_two(row)).await.err();
            assert_eq!(forwarded, direct, "{}", row.label());
            if row.form == Form::Stream {
                let forwarded = by_way_of_one.ask_stream(row.name, on_two(row)).await;
                let direct = at_two.ask_stream(row.name, on_two(row)).await;
                assert_eq!(forwarded.err(), direct.err(), "{}", row.label());
            }
        }
    }
}

#[tokio::test]
async fn mappings_are_checked_by_the_node_that_is_named() {
    let (_net, one, two) = Net::two().await;
    let root = one.bench.root();
    let share = json!({"id": "share", "map": "node=pve2,path=/nowhere"});
    root.ok("mapping_dir_create", share).await;
    let asked = json!({"check-node": "pve2"});
    let rows = root.ok("mapping_dir_list", asked).await;
    assert_eq!(two.received.ops(), ["mapping_dir_list"]);
    let message = "Invalid configuration: Path /nowhere does not exist\n";
    assert_eq!(rows[0]["checks"][0]["message"], message);
    let rows = root.ok("mapping_dir_list", json!({})).await;
    assert_eq!(rows[0]["checks"], Value::Null);
    assert_eq!(two.received.ops(), ["mapping_dir_list"]);
}

#[tokio::test]
async fn a_right_given_at_one_node_counts_at_the_other() {
    let (_net, one, two) = Net::two().await;
    let acl = json!({"path": "/nodes/pve2", "users": JANE, "roles": "PVEAuditor"});
    one.bench.root().ok("acl_update", acl).await;
    let jane = one.bench.jane().await;
    let answer = jane.ok("node_dns", json!({"node": "pve2"})).await;
    assert!(answer.is_object(), "{answer}");
    let received = two.received.take();
    // The owner got the caller's own credential.
    assert!(matches!(
        received[0].1.credential,
        Credential::Ticket { .. }
    ));
    let refused = jane.error("node_dns", json!({"node": "pve1"})).await;
    assert_eq!(refused.kind, ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_task_is_found_by_its_upid_alone() {
    let (_net, one, two) = Net::two().await;
    let create = json!({"node": "pve2", "vmid": 100});
    let upid = one.bench.root().ok("qemu_create", create).await;
    let upid = upid.as_str().unwrap();
    assert!(upid.starts_with("UPID:pve2:"), "{upid}");
    for (node, bench) in [("pve2", &one), ("pve1", &one), ("pve1", &two)] {
        let asked = json!({"node": node, "upid": upid});
        let status = bench.bench.root().ok("task_status", asked).await;
        assert_eq!(
            (&status["upid"], &status["node"]),
            (&json!(upid), &json!("pve2"))
        );
    }
}

#[tokio::test]
async fn an_unknown_node_is_named() {
    let (_net, one, _two) = Net::two().await;
    let error = one
        .bench
        .root()
        .error("node_dns", json!({"node": "pve9"}))
        .await;
    let text = "hostname lookup 'pve9' failed - failed to get address info for: pve9";
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Unavailable, text)
    );
}

#[tokio::test]
async fn a_request_takes_one_hop_only() {
    let (_net, one, two) = Net::two().await;
    let asked = json!({"node": "pve2"});
    one.bench.root().ok("node_dns", asked).await;
    let (peer, mut request) = two.received.take().remove(0);
    request.params.insert("node".to_owned(), "pve1".into());
    request.credential = Credential::Token("root@pam!x=y".to_owned());
    // Who it is comes first, so that strangers learn nothing.
    let refused = two.bench.dispatcher.request(peer.clone(), request.clone());
    assert_eq!(refused.await.unwrap_err().kind, ErrorKind::Unauthenticated);
    let (ticket, csrf) = one.bench.session_of_jane().await;
    let csrf = Some(csrf);
    request.op = "task_list".to_owned();
    request.credential = Credential::Ticket { ticket, csrf };
    let looped = two.bench.dispatcher.request(peer, request);
    let looped = looped.await.unwrap_err();
    assert_eq!(
        (looped.kind, looped.message.as_str()),
        (ErrorKind::Unavailable, "proxy loop detected")
    );
}

fn upload() -> Value {
    json!({"node": "pve2", "storage": "d1", "content": "iso", "filename": "x.iso"})
}

/// A cluster with a storage for ISO images.
async fn with_storage() -> (Net, Node, Node) {
    let (net, one, two) = Net::two().await;
    let d1 = json!({"storage": "d1", "type": "dir", "path": "/srv/d1", "content": "iso"});
    one.bench.root().ok("storage_create", d1).await;
    (net, one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_to_a_storage_of_another_node() {
    let (_net, one, two) = with_storage().await;
    let mut params = upload();
    let request = Request {
        op: "volume_upload".to_owned(),
        params: params.as_object().unwrap().clone(),
        credential: Credential::Peer,
        id: String::new(),
        address: None,
    };
    let dispatcher = &one.bench.dispatcher;
    let streamed = dispatcher.stream(Peer::Local { uid: 0 }, request).await;
    let Streamed {
        answer,
        descriptor,
        held,
    } = streamed.unwrap();
    assert_eq!(two.bench.context.node.uploads.count(), 1);
    let written = tokio::task::spawn_blocking(move || {
        let mut file = File::from(descriptor);
        file.write_all(&[7; 700_000])?;
        finish(&mut file).map(|()| file)
    });
    let file = written.await.unwrap().unwrap();
    params["tmpfilename"] = answer.data["tmpfilename"].clone();
    let upid = one.bench.root().ok("volume_upload", params).await;
    drop((file, held));
    let upid: Upid = upid.as_str().unwrap().parse().unwrap();
    assert_eq!(upid.node, two.name);
    let ended = two.bench.context.tasks.wait(&upid).await.unwrap();
    assert!(ended.is_ok(), "{:?}", ended.state);
    let volume = json!({"node": "pve2", "storage": "d1", "volume": "d1:iso/x.iso"});
    let found = one.bench.root().ok("volume_get", volume).await;
    assert_eq!(found["size"], 700_000);
    assert_eq!(one.bench.context.node.uploads.count(), 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let (_net, one, two) = with_storage().await;
    let opened = one.bench.root().ask_stream("volume_upload", upload()).await;
    opened.unwrap();
    until("the file is forgotten", async || {
        two.bench.context.node.uploads.count() == 0
    })
    .await;
}
