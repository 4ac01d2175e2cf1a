//! `recorded.jsonl`: excerpts, without the requests that led to their states. They are put into an
//! order in which our node reaches these states.

use std::collections::BTreeSet;

use serde_json::json;

use super::compare::{differences, head, undeclared};
use super::exchange::{Exchange, Exchanges, read, recording};
use super::findings::{Allowed, Findings};
use super::replay::{Headers, PASSWORD, Replay, cookie};
use crate::harness::https::Response;
use crate::harness::left_out;
use crate::harness::namespace::with_bridge;

const ALLOWED: Allowed = Allowed {
    differences: &[
        (
            &[8, 202],
            "no pressure figures without cgroup v2; QEMU's figures of disks and of itself are shown",
        ),
        (
            &[39, 51],
            "root's e-mail address is what an installer asks for",
        ),
        (
            &[53],
            "our own version and what is known of KVM are shown beside the rest",
        ),
        (&[81], "the name of a Perl module is not a fact of ours"),
        (
            &[90],
            "a node without an address but loopback has none to show",
        ),
        (
            &[135],
            "models are read from QEMU, which knows no abstract ones",
        ),
        (
            &[136],
            "machine versions are read from QEMU, which does not report changes of the platform",
        ),
        (&[145], "a page of bytes for a picture that there is not"),
        (&[160], "the text of a JSON parser is its own"),
        (
            &[179],
            "`saved` is a number only in the moment in which a task ends; text is what clients get",
        ),
        (
            &[191],
            "a member's name is known at once, before the guest was first looked at",
        ),
        (
            &[99, 104, 106, 108, 134, 141],
            "not built yet: firewall, SDN, notifications, metric servers",
        ),
        (
            &[121],
            "a bridge of a test has no address and is in no file of interfaces",
        ),
        (
            &[132],
            "without figures there is an empty list, not a file that is missing",
        ),
    ],
    not_yet: &[],
};

/// Exchanges in an order in which the node reaches the states that they need. All others come
/// first, on a fresh node.
const SCRIPT: &[u64] = &[
    // users, roles, rights
    163, 49, 166, 167, 42, 168, 169, 199, 193, 194, 196, //
    // tokens
    170, 44, 50, 45, 47, //
    // pools
    30, 31, 32, 171, 172, //
    // storages
    173, 174, 19, 43, //
    // a guest's life
    6, 180, 176, 178, 179, 181, 182, 183, 190, 185, 186, 187, 188, 189, 191, 192, //
    200, 202, 8, 203, 201, 55, 204, 205, 206, 4, 76, 69, //
    // snapshots
    57, 58, 59, 63, 64, 66, 72, 73, 71, 34, 37, 40,
];

/// Refused logins take three seconds each: they are sent in parallel.
const SLOW: &[u64] = &[2, 3, 5, 13, 14, 33];

/// Requested with compression.
const ZIPPED: u64 = 28;

#[test]
fn recorded_answers() {
    if !left_out("recorded") && recording("recorded").is_some() {
        with_bridge(async { replay_all().await });
    }
}

async fn replay_all() {
    let exchanges = read(&recording("recorded").unwrap());
    let mut scene = Scene {
        replay: Replay::start(async |_| ()).await,
        separated_token: String::new(),
    };
    let mut findings = Findings::default();
    scene.refuse(&exchanges, &mut findings).await;
    let done: BTreeSet<&u64> = SLOW.iter().chain(SCRIPT).collect();
    let fresh = exchanges.keys().filter(|seq| !done.contains(seq));
    for seq in fresh.chain(SCRIPT) {
        let exchange = &exchanges[seq];
        let answer = scene.send(exchange).await;
        note(&mut findings, exchange, &answer);
        scene.replay.settle(exchange, &answer).await;
        scene.prepare(*seq, &answer).await;
    }
    findings.report("recorded", &ALLOWED);
}

fn note(findings: &mut Findings, exchange: &Exchange, answer: &Response) {
    let (mut differences, mut undeclared) =
        (differences(exchange, answer), undeclared(exchange, answer));
    if exchange.seq() == ZIPPED {
        differences = head(exchange, answer);
        undeclared.clear();
        let coding = answer.header("content-encoding");
        if coding != Some("gzip") {
            differences.push(format!("coding {coding:?}"));
        }
    }
    findings.note(exchange.seq(), differences, undeclared);
}

struct Scene {
    replay: Replay,
    /// A token with rights of its own, from exchange 44.
    separated_token: String,
}

impl Scene {
    async fn refuse(&self, exchanges: &Exchanges, findings: &mut Findings) {
        let exchanges = SLOW.iter().map(|seq| &exchanges[seq]);
        let answers = exchanges.clone().map(|exchange| self.send(exchange));
        let answers = futures_util::future::join_all(answers).await;
        for (exchange, answer) in exchanges.zip(answers) {
            note(findings, exchange, &answer);
        }
    }

    async fn send(&self, exchange: &Exchange) -> Response {
        let headers = self.headers(exchange);
        self.replay.send(exchange, &headers, &[]).await
    }

    fn headers(&self, exchange: &Exchange) -> Headers {
        let token = |token: &str| vec![("Authorization", format!("PVEAPIToken={token}"))];
        match (exchange.auth(), exchange.seq()) {
            ("bad", 3) => token("root@pam!nope=00000000-0000-0000-0000-000000000000"),
            ("bad", _) => vec![cookie("PVE:root@pam:00000000::bm9wZQ==")],
            ("token privsep", _) => token(&self.separated_token),
            // No CSRF token, and a wrong one.
            (_, 37) => vec![cookie(&self.replay.bob.ticket)],
            (_, 40) => vec![
                cookie(&self.replay.bob.ticket),
                ("CSRFPreventionToken", "nope".to_owned()),
            ],
            (_, ZIPPED) => {
                let mut headers = self.replay.headers(exchange);
                headers.push(("Accept-Encoding", "gzip".to_owned()));
                headers
            }
            _ => self.replay.headers(exchange),
        }
    }

    /// Prepares the next exchange.
    async fn prepare(&mut self, seq: u64, answer: &Response) {
        let data = || answer.json()["data"].clone();
        let member = json!({"poolid": "p1", "vms": "100"});
        match seq {
            44 => {
                let secret = data()["value"].as_str().unwrap().to_owned();
                self.separated_token = format!("root@pam!t2={secret}");
            }
            168 => self.replay.bob_comes(PASSWORD).await,
            6 => {
                self.replay.node.call("pool_update", member).await.unwrap();
            }
            192 => {
                let mut params = member;
                params["delete"] = 1.into();
                self.replay.node.call("pool_update", params).await.unwrap();
            }
            _ => {}
        }
    }
}
