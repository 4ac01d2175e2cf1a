//! GET: what an answer costs the api and the agent, beside the same bytes from a bare server.

use std::path::Path;

use model::{GuestConfig, GuestKind, GuestRecord, Record, VmId};
use serde_json::{Value, json};
use store::{Commit, SharedStore, limits};

use crate::harness::{TestNode, until};
use crate::load::{Caller, Connection, Load, Target, load};
use crate::process::{ms, percentile};
use crate::servers::{self, Server};

const VERSION: &str = "/api2/json/version";
pub(crate) const RESOURCES: &str = "/api2/json/cluster/resources";

/// Nothing in it changes with time as long as no guest runs.
const GUESTS: &str = "/api2/json/cluster/resources?type=vm";

/// One guest of so many is seen by the caller who sees few.
const FEW: u32 = 100;

/// What is asked. Small answers are never compressed, so there is nothing to compare for them.
const QUESTIONS: [Question; 5] = [
    Question::new(VERSION, false, false),
    Question::new(RESOURCES, false, false),
    Question::new(RESOURCES, true, false),
    Question::new(RESOURCES, false, true),
    Question::new(RESOURCES, true, true),
];

struct Question {
    path: &'static str,
    gzip: bool,
    /// By the caller who sees few.
    few: bool,
}

impl Question {
    const fn new(path: &'static str, gzip: bool, few: bool) -> Self {
        Self { path, gzip, few }
    }

    /// The path at which the bare server has the answer.
    fn bare_path(&self) -> String {
        let folder = if self.few { "/few" } else { "" };
        format!("{folder}{}", self.path)
    }

    fn label(&self) -> String {
        let path = self.path.trim_start_matches("/api2/json");
        let who = if self.few { ", sees 1 %" } else { "" };
        format!("{path}{who}")
    }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

/// A caller who may see one guest of a hundred.
async fn caller_who_sees_few(node: &TestNode, target: &Target, guests: u32) -> Caller {
    let call = async |op: &str, params: Value| node.call(op, params).await.unwrap().data;
    call("user_create", json!({"userid": "few@pve"})).await;
    let token = json!({"userid": "few@pve", "tokenid": "bench", "privsep": 0});
    let token = call("token_create", token).await;
    for vmid in (100..100 + guests).step_by(FEW as usize) {
        let entry = json!({
            "path": format!("/vms/{vmid}"), "users": "few@pve", "roles": "PVEAuditor",
        });
        call("acl_update", entry).await;
    }
    Caller::with_token(&token, target.clone())
}

/// A record as a common guest has it.
pub(crate) fn record(vmid: u32, name: &str, owner: &str) -> Vec<u8> {
    let mut config = GuestConfig::default();
    let disk = format!("local:{vmid}/vm-{vmid}-disk-0.qcow2,discard=on,iothread=1,size=32G");
    let options: [(&str, Value); 13] = [
        ("name", name.into()),
        ("memory", "2048".into()),
        ("cores", 2.into()),
        ("sockets", 1.into()),
        ("ostype", "l26".into()),
        ("boot", "order=scsi0;ide2;net0".into()),
        ("scsihw", "virtio-scsi-single".into()),
        ("scsi0", disk.into()),
        ("ide2", "none,media=cdrom".into()),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0".into()),
        ("tags", "lab;web".into()),
        ("description", "A machine like many others.".into()),
        ("agent", "enabled=1".into()),
    ];
    for (name, value) in options {
        config.set(name, value);
    }
    let guest = GuestRecord {
        config,
        ..GuestRecord::new(
            VmId::new(vmid).unwrap(),
            GuestKind::Qemu,
            owner.parse().unwrap(),
            1_795_216_907,
        )
    };
    Record::new(guest).encode().unwrap()
}

pub(crate) async fn put_guests(store: &SharedStore, guests: u32) {
    put_guests_of(store, guests, 1).await;
}

/// The node that owns a guest, of so many.
pub(crate) fn owner(vmid: u32, nodes: u32) -> String {
    format!("pve{}", vmid % nodes + 1)
}

pub(crate) async fn put_guests_of(store: &SharedStore, guests: u32, nodes: u32) {
    let vmids: Vec<u32> = (100..100 + guests).collect();
    for part in vmids.chunks(limits::WRITES_PER_COMMIT) {
        let commit = part.iter().fold(Commit::new(), |commit, vmid| {
            let record = record(*vmid, &format!("machine-{vmid}"), &owner(*vmid, nodes));
            commit.put(node::guest_key(VmId::new(*vmid).unwrap()), record)
        });
        store.commit(commit).await.unwrap();
    }
}

/// How many guests the API lists; none before it has heard the agent.
async fn guests_listed(caller: &Caller, target: &Target) -> Option<usize> {
    let mut connection = Connection::open(target).await;
    let (raw, head) = connection.exchange(&caller.get(RESOURCES, false)).await;
    let list: Value = serde_json::from_slice(&raw[head..]).ok()?;
    let rows = list["data"].as_array()?;
    Some(rows.iter().filter(|row| row["type"] == "qemu").count())
}

pub(crate) async fn wait_at(caller: &Caller, target: &Target, guests: u32) {
    until("all guests are listed", async || {
        guests_listed(caller, target).await == Some(guests as usize)
    })
    .await;
}

/// Waits until the API knows all guests.
pub(crate) async fn wait_for(caller: &Caller, guests: u32) {
    wait_at(caller, &caller.target, guests).await;
}

/// Asks the API once for each question, and keeps its answers for the bare server.
async fn keep_answers(callers: [&Caller; 2], folder: &Path) {
    for question in &QUESTIONS {
        let caller = callers[usize::from(question.few)];
        let mut connection = Connection::open(&caller.target).await;
        let request = caller.get(question.path, question.gzip);
        let (raw, _) = connection.ask(&request).await;
        let file = servers::answer_file(&question.bare_path(), question.gzip);
        std::fs::write(folder.join(file), raw).unwrap();
    }
}

pub(crate) const HEAD: &str = "\
| guests | GET | TLS | gzip | connections | bytes | requests/s | p50 ms | api µs | agent µs | bare µs | ratio |
|---|---|---|---|---|---|---|---|---|---|---|---|";

/// Prints the rows of a node; answers those of unchanged lists.
pub(crate) async fn measure(node: &TestNode, caller: &Caller) -> Vec<String> {
    let guests = guests_listed(caller, &caller.target).await.unwrap();
    let count = u32::try_from(guests).unwrap();
    let few = caller_who_sees_few(node, &caller.target, count).await;
    let callers = [caller, &few];
    let folder = tempfile::tempdir().unwrap();
    keep_answers(callers, folder.path()).await;
    let (api, agent) = (node.role("api")[0], node.role("node")[0]);
    let socket = node.root.join("run/ostler/node.sock");
    let plain = Server::start(&[Path::new(servers::PLAIN), &socket]);
    let plain_target = Target {
        port: plain.port,
        tls: None,
    };
    wait_at(caller, &plain_target, count).await;
    let bare_plain = Server::start(&[Path::new(servers::BARE), folder.path()]);
    let certificate = node.root.join("var/lib/ostler/api");
    let bare_tls = Server::start(&[Path::new(servers::BARE), folder.path(), &certificate]);
    let asked = |question: &&Question| count >= FEW || !question.few;
    for question in QUESTIONS.iter().filter(asked) {
        let caller = callers[usize::from(question.few)];
        let request = caller.get(question.path, question.gzip);
        let bare_request = caller.get(&question.bare_path(), question.gzip);
        for tls in [false, true] {
            let (ours, our_pid, theirs) = if tls {
                (&caller.target, api, &bare_tls)
            } else {
                (&plain_target, plain.pid(), &bare_plain)
            };
            let bare = Target {
                port: theirs.port,
                tls: ours.tls.clone(),
            };
            let bytes = Connection::open(ours).await.ask(&request).await.0.len();
            for connections in [1, 8] {
                let measured = load(ours, connections, &request, &[our_pid, agent]).await;
                let compared = load(&bare, connections, &bare_request, &[theirs.pid()]).await;
                let what = format!(
                    "{guests} | {} | {} | {} | {connections} | {bytes}",
                    question.label(),
                    yes(tls),
                    yes(question.gzip)
                );
                print_row(&what, measured, &compared);
            }
        }
    }
    unchanged(caller, api, guests).await
}

pub(crate) const UNCHANGED_HEAD: &str = "\
| guests | gzip | connections | 304: requests/s | p50 ms | api µs | `/version` p50 ms | api µs | ratio |
|---|---|---|---|---|---|---|---|---|";

/// A list that the client has already, beside the smallest answer of all, both with TLS.
async fn unchanged(caller: &Caller, api: u32, guests: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for gzip in [false, true] {
        let mut connection = Connection::open(&caller.target).await;
        let (raw, head) = connection.ask(&caller.get(GUESTS, gzip)).await;
        let head = String::from_utf8_lossy(&raw[..head]).to_lowercase();
        let (_, tag) = head.split_once("etag: ").unwrap();
        let tag = tag.lines().next().unwrap();
        let again = caller.get_unless(GUESTS, gzip, tag);
        let (raw, _) = connection.exchange(&again).await;
        assert!(raw.starts_with(b"HTTP/1.1 304 "), "the list has changed");
        for connections in [1, 8] {
            let mut ours = load(&caller.target, connections, &again, &[api]).await;
            let version = caller.get(VERSION, gzip);
            let mut least = load(&caller.target, connections, &version, &[api]).await;
            let per_second = ours.latencies.len() as f64 / ours.took.as_secs_f64();
            let (cpu, least_cpu) = (ours.cpu_us(0), least.cpu_us(0));
            rows.push(format!(
                "| {guests} | {} | {connections} | {per_second:.0} | {} | {cpu:.0} | {} | \
                 {least_cpu:.0} | {:.1} |",
                yes(gzip),
                ms(percentile(&mut ours.latencies, 0.5)),
                ms(percentile(&mut least.latencies, 0.5)),
                cpu / least_cpu
            ));
        }
    }
    rows
}

fn print_row(what: &str, mut ours: Load, bare: &Load) {
    let requests = f64::from(u32::try_from(ours.latencies.len()).unwrap());
    let per_second = requests / ours.took.as_secs_f64();
    let (api, agent, bare) = (ours.cpu_us(0), ours.cpu_us(1), bare.cpu_us(0));
    let ratio = (api + agent) / bare;
    let p50 = ms(percentile(&mut ours.latencies, 0.5));
    println!(
        "| {what} | {per_second:.0} | {p50} | {api:.0} | {agent:.0} | {bare:.0} | {ratio:.1} |"
    );
}
