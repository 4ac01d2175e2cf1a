//! GET: what an answer costs the api and the agent, beside the same bytes from a bare server.

use std::path::Path;

use model::{GuestConfig, GuestKind, GuestRecord, Record, VmId};
use serde_json::Value;
use store::{Commit, SharedStore, limits};

use crate::harness::{TestNode, until};
use crate::load::{Caller, Connection, Load, Target, load};
use crate::process::{ms, percentile};
use crate::servers::{self, Server};

const VERSION: &str = "/api2/json/version";
const RESOURCES: &str = "/api2/json/cluster/resources";

/// Small answers are never compressed, so there is nothing to compare for them.
const REQUESTS: [(&str, bool); 3] = [(VERSION, false), (RESOURCES, false), (RESOURCES, true)];

/// A record as a common guest has it.
fn record(vmid: u32) -> Vec<u8> {
    let mut config = GuestConfig::default();
    let disk = format!("local:{vmid}/vm-{vmid}-disk-0.qcow2,discard=on,iothread=1,size=32G");
    let options: [(&str, Value); 13] = [
        ("name", format!("machine-{vmid}").into()),
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
            "pve1".parse().unwrap(),
            1_795_216_907,
        )
    };
    Record::new(guest).encode().unwrap()
}

pub(crate) async fn put_guests(store: &SharedStore, guests: u32) {
    let vmids: Vec<u32> = (100..100 + guests).collect();
    for part in vmids.chunks(limits::WRITES_PER_COMMIT) {
        let commit = part.iter().fold(Commit::new(), |commit, vmid| {
            commit.put(node::guest_key(VmId::new(*vmid).unwrap()), record(*vmid))
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

async fn wait_at(caller: &Caller, target: &Target, guests: u32) {
    until("all guests are listed", async || {
        guests_listed(caller, target).await == Some(guests as usize)
    })
    .await;
}

/// Waits until the API knows all guests.
pub(crate) async fn wait_for(caller: &Caller, guests: u32) {
    wait_at(caller, &caller.target, guests).await;
}

/// Asks the API once for each request, and keeps its answers for the bare server.
async fn keep_answers(caller: &Caller, folder: &Path) {
    let mut connection = Connection::open(&caller.target).await;
    for (path, gzip) in REQUESTS {
        let (raw, _) = connection.ask(&caller.get(path, gzip)).await;
        std::fs::write(folder.join(servers::answer_file(path, gzip)), raw).unwrap();
    }
}

pub(crate) const HEAD: &str = "\
| guests | GET | TLS | gzip | connections | bytes | requests/s | p50 ms | api µs | agent µs | bare µs | ratio |
|---|---|---|---|---|---|---|---|---|---|---|---|";

/// Prints the rows of a node.
pub(crate) async fn measure(node: &TestNode, caller: &Caller) {
    let guests = guests_listed(caller, &caller.target).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    keep_answers(caller, folder.path()).await;
    let (api, agent) = (node.role("api")[0], node.role("node")[0]);
    let socket = node.root.join("run/ostler/node.sock");
    let plain = Server::start(&[Path::new(servers::PLAIN), &socket]);
    let plain_target = Target {
        port: plain.port,
        tls: None,
    };
    wait_at(caller, &plain_target, u32::try_from(guests).unwrap()).await;
    let bare_plain = Server::start(&[Path::new(servers::BARE), folder.path()]);
    let certificate = node.root.join("var/lib/ostler/api");
    let bare_tls = Server::start(&[Path::new(servers::BARE), folder.path(), &certificate]);
    for (path, gzip) in REQUESTS {
        let request = caller.get(path, gzip);
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
                let compared = load(&bare, connections, &request, &[theirs.pid()]).await;
                let words = [tls, gzip].map(|yes| if yes { "yes" } else { "no" });
                let what = format!(
                    "{guests} | {} | {} | {} | {connections} | {bytes}",
                    path.trim_start_matches("/api2/json"),
                    words[0],
                    words[1]
                );
                print_row(&what, measured, &compared);
            }
        }
    }
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
