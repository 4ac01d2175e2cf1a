//! Peers whose certificate or signature does not let them in, and how far one gets that has both.

use model::{ErrorKind, NodeName};
use node::cluster::AGENT_DOMAIN;
use node::migration;
use proto::wire::{Peer, Request, Service};
use proto::{Credential, Form, Voucher};
use serde_json::{Value, json};
use store::{Key, Read, Revision};
use tasks::TaskFilter;
use testkit::Authority;

use crate::net::{Net, Node, until};
use crate::samples::required;

/// A request for the DNS settings of `pve2`.
fn dns(credential: Credential) -> Request {
    Request {
        op: "node_dns".to_owned(),
        params: json!({"node": "pve2"}).as_object().unwrap().clone(),
        credential,
        id: "1".to_owned(),
        address: None,
    }
}

#[tokio::test]
async fn only_a_present_member_with_its_certificate_gets_in() {
    let (net, one, two) = Net::two().await;
    let agent = |name: &str| format!("{name}{AGENT_DOMAIN}");
    let strange = Authority::new();
    let cases = [
        (
            "of another authority",
            "pve1",
            strange.issue(&agent("pve1")),
        ),
        (
            "that has expired",
            "pve1",
            net.authority.issue_expired(&agent("pve1")),
        ),
        (
            "that no record has",
            "pve1",
            net.authority.issue(&agent("pve1")),
        ),
        (
            "of a node that is no member",
            "pve3",
            net.authority.issue(&agent("pve3")),
        ),
    ];
    for (what, name, certificate) in cases {
        let intruder = net.intruder(name, &certificate, &two).await;
        let asked = intruder.client.request(dns(Credential::None)).await;
        let refused = asked.expect_err(what);
        assert_eq!(refused.kind, ErrorKind::NodeLost, "{what}: {refused}");
    }
    assert_eq!(two.received.ops(), Vec::<String>::new());
    let asked = json!({"node": "pve2"});
    one.bench.root().ok("node_dns", asked).await;
}

#[tokio::test]
async fn a_certificate_of_the_api_is_none_of_an_agent() {
    let net = Net::new();
    for name in ["pve1", "pve1.agent.example", "agent", "pve2.agent"] {
        let certificate = net.authority.issue(name);
        let (chain, key) = (certificate.chain.as_bytes(), certificate.key.as_bytes());
        let own: NodeName = "pve1".parse().unwrap();
        let authority = net.authority.pem.as_bytes();
        let refused = node::cluster::AgentIdentity::from_pem(own, chain, key, authority).err();
        assert_eq!(
            refused.unwrap().message,
            "the agent's certificate is not for 'pve1'"
        );
    }
}

#[tokio::test]
async fn a_server_must_be_the_member_that_is_asked() {
    let (mut net, one, _two) = Net::two().await;
    let three = net.start("pve3").await;
    one.hears(&three.name).await;
    // The record of pve2 leads to pve3, whose certificate is good, but its own.
    let theirs = three.bench.context.node.cluster.identity.as_ref().unwrap();
    let address = format!("127.0.0.1:{}", three.port);
    net.enlist("pve2", &address, &theirs.fingerprint()).await;
    let verify = "tls_process_server_certificate: certificate verify failed";
    until("the other certificate is refused", async || {
        let root = one.bench.root();
        let refused = root.ask("node_dns", json!({"node": "pve2"})).await.err();
        refused.is_some_and(|error| error.kind == ErrorKind::NodeLost && error.message == verify)
    })
    .await;
    assert_eq!(three.received.ops(), Vec::<String>::new());
}

#[tokio::test]
async fn a_removed_member_loses_its_open_connections_and_gets_no_other() {
    let (net, one, two) = Net::two().await;
    // The thief of a disk keeps the certificate and does not follow the store.
    let thief = net.intruder("pve1", net.certificate("pve1"), &two).await;
    drop(one);
    let (ticket, csrf) = two.bench.session_of_jane().await;
    let session = Credential::Ticket {
        ticket,
        csrf: Some(csrf),
    };
    let answered = thief
        .client
        .request(dns(session.clone()))
        .await
        .unwrap_err();
    assert_eq!(answered.kind, ErrorKind::Forbidden);
    let mut feed = thief.client.watch().await.unwrap();
    feed.next().await.unwrap();
    assert_eq!(two.received.take().len(), 1);
    net.remove(&"pve1".parse().unwrap()).await;
    until("the connection is closed", async || {
        let asked = thief.client.request(dns(session.clone())).await;
        asked.unwrap_err().kind == ErrorKind::NodeLost
    })
    .await;
    // Its feed has ended too, and nothing more is heard of it.
    while feed.next().await.is_ok() {}
    two.received.take();
    let refused = thief.client.request(dns(session)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NodeLost);
    assert_eq!(two.received.ops(), Vec::<String>::new());
}

#[tokio::test]
async fn a_voucher_counts_once_and_only_over_its_signers_connection() {
    let (_net, one, two) = Net::two().await;
    one.bench
        .root()
        .ok("node_dns", json!({"node": "pve2"}))
        .await;
    let (peer, request) = two.received.take().remove(0);
    let dispatcher = &two.bench.dispatcher;
    let refused = async |peer: Peer, request: &Request| {
        let error = dispatcher.request(peer, request.clone()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        error.message
    };
    assert_eq!(
        refused(peer.clone(), &request).await,
        "this request was received before"
    );
    let failed = "Authentication failed!";
    for uid in [0, 999] {
        assert_eq!(refused(Peer::Local { uid }, &request).await, failed);
    }
    let mut other = request.clone();
    other.op = "node_hosts".to_owned();
    assert_eq!(refused(peer.clone(), &other).await, failed);
    // Over the connection of another member it is worthless.
    let Peer::Node { name, .. } = peer else {
        unreachable!()
    };
    let key = std::sync::Arc::from(vec![4; 65]);
    assert_eq!(refused(Peer::Node { name, key }, &request).await, failed);
}

/// Root of one member is root of the cluster, by its own signature. It is no other user, and it
/// gets nothing but operations of the node that it asks.
#[tokio::test]
async fn a_hostile_member_has_no_identity_but_its_own() {
    let (net, one, two) = Net::two().await;
    drop(one);
    let hostile = net.intruder("pve1", net.certificate("pve1"), &two).await;
    let forged = Voucher {
        made: net.clock.wall(),
        signature: "AAAA".to_owned(),
    };
    for credential in [
        Credential::None,
        Credential::Peer,
        Credential::Token("root@pam!x=y".to_owned()),
        Credential::Vouched(forged),
    ] {
        let refused = hostile.client.request(dns(credential.clone())).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unauthenticated, "{credential:?}");
        let checked = hostile.client.verify(credential, None).await.unwrap_err();
        assert_eq!(checked.kind, ErrorKind::Forbidden);
    }
    // Logins are not taken from other agents: their guesses would have no origin.
    let login = Request {
        op: "ticket_create".to_owned(),
        params: json!({"username": "root@pam", "password": "x"})
            .as_object()
            .unwrap()
            .clone(),
        ..dns(Credential::None)
    };
    let refused = hostile.client.request(login).await.unwrap_err();
    assert_eq!(
        refused.message,
        "POST /access/ticket is not for other nodes' agents"
    );
    // Its watch has beats and status, and nothing of the store.
    let mut feed = hostile.client.watch().await.unwrap();
    assert_eq!(feed.next().await.unwrap(), json!({"beat": {}}));
}

/// The last commit in the state, and the tasks that a node has begun.
async fn done_at(node: &Node) -> (Revision, usize) {
    let context = &node.bench.context;
    let any = Key::new("x").unwrap();
    let (_, revision) = context.store.get(&any, Read::Linear).await.unwrap();
    let all = TaskFilter {
        running: true,
        ended: true,
        unlisted: true,
        ..TaskFilter::default()
    };
    (revision, context.tasks.list(&all).len())
}

/// Every operation of the table, for every node, with everything that it may claim to be: nothing
/// runs, and nothing has changed.
#[tokio::test]
async fn a_hostile_member_is_refused_every_operation() {
    let (net, one, two) = Net::two().await;
    drop(one);
    let hostile = net.intruder("pve1", net.certificate("pve1"), &two).await;
    let before = done_at(&two).await;
    let forged = Voucher {
        made: net.clock.wall(),
        signature: "AAAA".to_owned(),
    };
    let credentials = [
        Credential::None,
        Credential::Peer,
        Credential::Vouched(forged),
        Credential::Token("root@pam!x=y".to_owned()),
        Credential::Ticket {
            ticket: "PVE:root@pam:4EEC61E2::AAAA".to_owned(),
            csrf: Some("4EEC61E2:AAAA".to_owned()),
        },
    ];
    let kinds = [
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::NotImplemented,
    ];
    for row in proto::table::rows() {
        for (credential, node) in credentials.iter().zip(["pve1", "pve2"].iter().cycle()) {
            let mut params = required(row);
            if params.get("node").is_some() {
                params["node"] = (*node).into();
            }
            let request = Request {
                op: row.name.to_owned(),
                params: params.as_object().unwrap().clone(),
                ..dns(credential.clone())
            };
            let refused = match row.form {
                Form::Stream => hostile.client.stream(request).await.err(),
                _ => hostile.client.request(request).await.err(),
            };
            let refused = refused.unwrap_or_else(|| panic!("{}", row.label()));
            assert!(kinds.contains(&refused.kind), "{}: {refused}", row.label());
        }
    }
    assert_eq!(done_at(&two).await, before);
}

/// What is in no table, and what only the owner of a guest may ask for.
#[tokio::test]
async fn a_hostile_member_finds_no_other_operation() {
    let (net, one, two) = Net::two().await;
    drop(one);
    let hostile = net.intruder("pve1", net.certificate("pve1"), &two).await;
    let before = done_at(&two).await;
    for (op, params) in [
        ("", json!({})),
        ("agent/strange", json!({})),
        (migration::OP, json!({})),
        (
            migration::OP,
            json!({"vmid": 100, "upid": "x", "what": "finish"}),
        ),
        (
            migration::OP,
            json!({"vmid": -1, "what": {"receive": {"volume": "../../etc"}}}),
        ),
    ] {
        let request = Request {
            op: op.to_owned(),
            params: params.as_object().unwrap().clone(),
            ..dns(Credential::None)
        };
        let refused: Result<Value, _> = hostile.client.request(request).await.map(|a| a.data);
        assert!(refused.is_err(), "{op} {params}: {refused:?}");
    }
    assert_eq!(done_at(&two).await, before);
}
