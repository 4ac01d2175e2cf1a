//! Exchanges recorded from a real Proxmox VE, replayed against a node of ours.
//!
//! The recordings are not part of the project: `OSTLER_RECORDED` names the file, one JSON object
//! a line. Status line, content type, error keys and texts, field names and JSON types must
//! agree, or the difference stands in `DIFFERENCES` with its reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::https::{Response, request};
use crate::harness::namespace::with_bridge;
use crate::harness::session::root_session;
use crate::harness::{TestNode, left_out};
use serde_json::{Value, json};

/// What differs on purpose, and why.
const DIFFERENCES: &[(u64, &str)] = &[
    (
        8,
        "no pressure figures without cgroup v2; what QEMU tells of disks and itself is shown",
    ),
    (
        53,
        "our own version and what is known of KVM are shown beside the rest",
    ),
    (81, "the name of a Perl module is not a fact of ours"),
    (
        90,
        "a node without an address but loopback has none to show",
    ),
    (
        135,
        "models are read from QEMU, which knows no abstract ones",
    ),
    (
        136,
        "machine versions are read from QEMU, which tells nothing of changes of the platform",
    ),
    (145, "a page of bytes for a picture that there is not"),
    (160, "the text of a JSON parser is its own"),
    (202, "as 8"),
    (
        191,
        "a member's name is known at once, before the guest was first looked at",
    ),
];

/// Exchanges in the order in which the node gets into the states that they need. All others
/// come first, on a fresh node.
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

/// Refusals of callers take three seconds each: they are asked for together.
const SLOW: &[u64] = &[2, 3, 5, 13, 14, 33, 37, 40];

struct Scene {
    node: TestNode,
    root_ticket: (String, String),
    /// A token with rights of its own, made by exchange 44.
    separated_token: String,
    bob_ticket: (String, String),
    last_upid: String,
}

fn recordings() -> Option<BTreeMap<u64, Value>> {
    let read = std::env::var_os("OSTLER_RECORDED").map(std::fs::read_to_string);
    let Some(Ok(text)) = read else {
        println!("left out: recorded: no recordings (OSTLER_RECORDED names their file)");
        return None;
    };
    let parse = |line: &str| -> (u64, Value) {
        let value: Value = serde_json::from_str(line).unwrap();
        (value["seq"].as_u64().unwrap(), value)
    };
    Some(text.lines().map(parse).collect())
}

/// What of a good answer is not as its row declares it.
fn check_answer(exchange: &Value, answer: &Response) -> Vec<String> {
    let Some(row) = row_of(exchange).filter(|_| answer.status() == 200) else {
        return Vec::new();
    };
    let is_json = exchange["path"].as_str().unwrap().starts_with("/api2/json");
    let data = &answer.json()["data"];
    if !is_json || exchange["seq"] == 28 {
        return Vec::new();
    }
    let lines = model::schema::check_shape(&row.returns, data);
    lines
        .into_iter()
        .map(|line| format!("{} data{line}", row.label()))
        .collect()
}

/// Whether an exchange is one of an operation that we have, or of the wire itself.
fn is_ours(exchange: &Value) -> bool {
    let on_the_wire = [21, 22, 23, 24, 52, 61, 78, 80, 145];
    if on_the_wire.contains(&exchange["seq"].as_u64().unwrap()) {
        return true;
    }
    row_of(exchange).is_some()
}

fn row_of(exchange: &Value) -> Option<&'static proto::Row> {
    let path = exchange["path"]
        .as_str()
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .unwrap()
        .into_owned();
    let segments: Vec<String> = path
        .split('/')
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect();
    let verb = proto::Verb::from_name(exchange["method"].as_str().unwrap())?;
    let router = proto::Router::new(proto::table::rows());
    Some(router.find(verb, segments.get(2..)?)?.row)
}

#[test]
fn recorded_answers() {
    if left_out("recorded") || recordings().is_none() {
        return;
    }
    with_bridge(async { replay_all().await });
}

async fn replay_all() {
    let recordings = recordings().unwrap();
    let mut scene = scene().await;
    let fresh: Vec<u64> = recordings
        .keys()
        .filter(|seq| !SCRIPT.contains(seq))
        .copied()
        .collect();
    let mut found = BTreeMap::new();
    let mut replayed = BTreeSet::new();
    let mut undeclared = BTreeSet::new();
    let slow: Vec<u64> = SLOW
        .iter()
        .filter(|seq| fresh.contains(seq))
        .copied()
        .collect();
    let together = slow.iter().map(|seq| send(&scene, &recordings[seq]));
    for (seq, answer) in slow
        .iter()
        .zip(futures_util::future::join_all(together).await)
    {
        replayed.insert(*seq);
        note(&mut found, &recordings[seq], &answer);
    }
    for seq in fresh.iter().chain(SCRIPT) {
        let exchange = &recordings[seq];
        if !is_ours(exchange) {
            println!(
                "{seq}: not built: {} {}",
                exchange["method"], exchange["path"]
            );
        }
        if !is_ours(exchange) || slow.contains(seq) {
            continue;
        }
        let answer = send(&scene, exchange).await;
        replayed.insert(*seq);
        undeclared.extend(check_answer(exchange, &answer));
        note(&mut found, exchange, &answer);
        settle(&mut scene, *seq, &answer).await;
    }
    report(&found, replayed.len(), recordings.len());
    assert!(
        undeclared.is_empty(),
        "answers are not as their rows declare: {undeclared:#?}"
    );
}

fn report(found: &BTreeMap<u64, Vec<String>>, replayed: usize, all: usize) {
    for (seq, differences) in found {
        let reason = DIFFERENCES.iter().find(|(known, _)| known == seq);
        println!(
            "{seq}: {} {}",
            differences.join("; "),
            reason.map_or("", |(_, why)| why)
        );
    }
    let argued = DIFFERENCES
        .iter()
        .filter(|(seq, _)| found.contains_key(seq))
        .count();
    let new: Vec<&u64> = found
        .keys()
        .filter(|seq| !DIFFERENCES.iter().any(|(known, _)| known == *seq))
        .collect();
    println!("{replayed} of {all} recorded exchanges replayed, {argued} differ for a reason");
    assert!(
        new.is_empty(),
        "{} exchanges differ without a reason: {new:?}",
        new.len()
    );
}

async fn scene() -> Scene {
    let mut root_ticket = (String::new(), String::new());
    let node = TestNode::start(async |store| root_ticket = root_session(store).await).await;
    let nothing = (String::new(), String::new());
    let last_upid = String::new();
    Scene {
        node,
        root_ticket,
        separated_token: String::new(),
        bob_ticket: nothing,
        last_upid,
    }
}

/// What must have happened before the next exchange.
async fn settle(scene: &mut Scene, seq: u64, answer: &Response) {
    let data = &answer.json()["data"];
    if let Some(upid) = data.as_str().filter(|text| text.starts_with("UPID:")) {
        scene.last_upid = upid.to_owned();
        scene.node.ended(upid).await;
    }
    match seq {
        44 => scene.separated_token = format!("root@pam!t2={}", data["value"].as_str().unwrap()),
        168 => scene.bob_ticket = login(scene).await,
        6 => {
            let params = json!({"poolid": "p1", "vms": "100"});
            scene.node.call("pool_update", params).await.unwrap();
        }
        192 => {
            let params = json!({"poolid": "p1", "vms": "100", "delete": 1});
            scene.node.call("pool_update", params).await.unwrap();
        }
        _ => {}
    }
}

async fn login(scene: &Scene) -> (String, String) {
    let body = (
        "application/x-www-form-urlencoded",
        "username=bob%40pve&password=secret-of-bob",
    );
    let path = "/api2/json/access/ticket";
    let answer = request(scene.node.port, "POST", path, &[], Some(body))
        .await
        .json();
    let text = |name: &str| answer["data"][name].as_str().unwrap().to_owned();
    (text("ticket"), text("CSRFPreventionToken"))
}

async fn send(scene: &Scene, exchange: &Value) -> Response {
    let text = |name: &str| exchange[name].as_str().unwrap_or_default().to_owned();
    let seq = exchange["seq"].as_u64().unwrap();
    let mut path = text("path");
    if path.contains("UPID%3A") {
        let (before, rest) = path.split_once("UPID%3A").unwrap();
        let after = rest
            .split_once('/')
            .map_or(String::new(), |(_, rest)| format!("/{rest}"));
        path = format!(
            "{before}{}{after}",
            scene.last_upid.replace(':', "%3A").replace('@', "%40")
        );
    }
    let body = exchange["request_body"].as_str().map(|body| {
        body.replace("<password>", "secret-of-bob")
            .replace("%3Cpassword%3E", "secret-of-bob")
    });
    let content_type = text("request_type");
    let body = body.as_deref().map(|body| (content_type.as_str(), body));
    let token = |token: &str| vec![("Authorization", format!("PVEAPIToken={token}"))];
    let is_bob = exchange["note"]
        .as_str()
        .is_some_and(|note| note.contains("bob@pve"));
    let cookie = |ticket: &str| {
        (
            "Cookie",
            format!("PVEAuthCookie={}", ticket.replace('+', "%2B")),
        )
    };
    let mut headers = match text("auth").as_str() {
        "none" => vec![],
        "bad" if seq == 3 => token("root@pam!nope=00000000-0000-0000-0000-000000000000"),
        "bad" => vec![cookie("PVE:root@pam:00000000::bm9wZQ==")],
        "token privsep" => token(&scene.separated_token),
        _ if is_bob => {
            let csrf = scene.bob_ticket.1.clone();
            vec![cookie(&scene.bob_ticket.0), ("CSRFPreventionToken", csrf)]
        }
        _ if seq == 37 => vec![cookie(&scene.bob_ticket.0)],
        _ if seq == 40 => {
            vec![
                cookie(&scene.bob_ticket.0),
                ("CSRFPreventionToken", "nope".to_owned()),
            ]
        }
        _ => {
            let csrf = scene.root_ticket.1.clone();
            vec![cookie(&scene.root_ticket.0), ("CSRFPreventionToken", csrf)]
        }
    };
    if seq == 28 {
        headers.push(("Accept-Encoding", "gzip".to_owned()));
    }
    request(scene.node.port, &text("method"), &path, &headers, body).await
}

fn note(found: &mut BTreeMap<u64, Vec<String>>, exchange: &Value, answer: &Response) {
    let differences = differences(exchange, answer);
    if !differences.is_empty() {
        found.insert(exchange["seq"].as_u64().unwrap(), differences);
    }
}

fn differences(exchange: &Value, answer: &Response) -> Vec<String> {
    let mut lines = Vec::new();
    let wanted = exchange["status_line"].as_str().unwrap();
    if answer.status_line != wanted {
        lines.push(format!("'{}' instead of '{wanted}'", answer.status_line));
    }
    let wanted = exchange["content_type"].as_str();
    if answer.header("content-type") != wanted {
        lines.push(format!(
            "content type {:?}, not {wanted:?}",
            answer.header("content-type")
        ));
    }
    if exchange["seq"] == 28 {
        let coding = answer.header("content-encoding");
        return if coding == Some("gzip") {
            lines
        } else {
            vec![format!("coding {coding:?}")]
        };
    }
    let Some(wanted) = exchange.get("json") else {
        return lines;
    };
    let found = answer.json();
    for part in ["errors", "message"] {
        if wanted.get(part) != found.get(part) {
            lines.push(format!(
                "{part}: {:?} instead of {:?}",
                found.get(part),
                wanted.get(part)
            ));
        }
    }
    compare("data", &wanted["data"], &found["data"], &mut lines);
    lines
}

/// Names and types, all the way down. Lists are compared by all that their items have.
fn compare(place: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    let (wanted, found) = (merged(wanted), merged(found));
    match (&wanted, &found) {
        (Value::Object(wanted), Value::Object(found)) => {
            // Paths, privileges and the like are data, not names of fields.
            if wanted.keys().any(|key| key.contains(['/', '.'])) {
                return;
            }
            for (key, value) in wanted {
                match found.get(key) {
                    Some(other) => compare(&format!("{place}.{key}"), value, other, lines),
                    None => lines.push(format!("no {place}.{key}")),
                }
            }
            let extra = found.keys().filter(|key| !wanted.contains_key(*key));
            lines.extend(extra.map(|key| format!("extra {place}.{key}")));
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if let (Some(wanted), Some(found)) = (wanted.first(), found.first()) {
                compare(&format!("{place}[]"), wanted, found, lines);
            }
        }
        _ if kind(&wanted) != kind(&found) => {
            lines.push(format!(
                "{place} is {} instead of {}",
                kind(&found),
                kind(&wanted)
            ));
        }
        _ => {}
    }
}

/// A list with one item that has all that its items have.
fn merged(value: &Value) -> Value {
    let Value::Array(items) = value else {
        return value.clone();
    };
    let mut all = serde_json::Map::new();
    for item in items {
        match item {
            Value::Object(fields) => all.extend(fields.clone()),
            _ => return value.clone(),
        }
    }
    if items.is_empty() {
        value.clone()
    } else {
        json!([all])
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
