//! Ten thousand guests on one node: the cost of lists, and the memory of the processes.

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, until};
use model::{GuestConfig, GuestKind, GuestRecord, Record, VmId};
use serde_json::{Value, json};
use store::{Commit, SharedStore, limits};

const GUESTS: u32 = 10_000;

fn record(vmid: u32) -> Vec<u8> {
    let mut config = GuestConfig::default();
    let disk = format!("local:{vmid}/vm-{vmid}-disk-0.qcow2,discard=on,iothread=1,size=32G");
    for (name, value) in [
        ("name", format!("machine-{vmid}").into()),
        ("memory", "2048".into()),
        ("cores", 2.into()),
        ("sockets", 1.into()),
        ("ostype", "l26".into()),
        ("boot", "order=scsi0;ide2;net0".into()),
        ("scsihw", "virtio-scsi-single".into()),
        ("scsi0", disk.into()),
        ("ide2", "none,media=cdrom".into()),
        (
            "net0",
            "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1".into(),
        ),
        (
            "smbios1",
            "uuid=11111111-2222-3333-4444-555555555555".into(),
        ),
        ("vmgenid", "11111111-2222-3333-4444-555555555555".into()),
        ("tags", "lab;web".into()),
        (
            "description",
            "A machine like many others, with a few words about it.".into(),
        ),
        ("agent", "enabled=1".into()),
    ] {
        let value: Value = value;
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

async fn put_guests(store: &SharedStore) {
    let vmids: Vec<u32> = (100..100 + GUESTS).collect();
    for part in vmids.chunks(limits::WRITES_PER_COMMIT) {
        let commit = part.iter().fold(Commit::new(), |commit, vmid| {
            commit.put(node::guest_key(VmId::new(*vmid).unwrap()), record(*vmid))
        });
        store.commit(commit).await.unwrap();
    }
}

/// What a process holds itself, in KiB. The pages of its program are left out: of a debug build they are
/// most of it, and more or fewer from build to build.
fn weight_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Pss_Anon:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Prints its measurements; run it with `--nocapture`. It fails only on gross excess, since the
/// memory that an allocator keeps differs between hosts.
#[test]
fn ten_thousand_guests_are_light() {
    if left_out("many_guests") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(put_guests).await;
        let params = json!({"userid": "root@pam", "tokenid": "test", "privsep": 0});
        let token = node.call("token_create", params).await.unwrap().data;
        let (id, secret) = (token["full-tokenid"].as_str(), token["value"].as_str());
        let header = [(
            "Authorization",
            format!("PVEAPIToken={}={}", id.unwrap(), secret.unwrap()),
        )];
        let path = "/api2/json/cluster/resources?type=vm";
        until("all guests are listed", async || {
            let list = request(node.port, "GET", path, &header, None).await.json();
            list["data"]
                .as_array()
                .is_some_and(|rows| rows.len() == GUESTS as usize)
        })
        .await;
        let begun = std::time::Instant::now();
        let response = request(node.port, "GET", path, &header, None).await;
        let took = begun.elapsed();
        println!(
            "{GUESTS} guests: {} bytes in {took:?}, with its TLS",
            response.body.len()
        );
        let begun = std::time::Instant::now();
        let next = node.call("cluster_nextid", json!({})).await.unwrap().data;
        assert_eq!(next, (100 + GUESTS).to_string());
        println!("the next free number in {:?}", begun.elapsed());
        let weights: Vec<(&str, u64)> = ["node", "api"]
            .map(|role| (role, weight_kib(node.role(role)[0])))
            .into();
        println!("weights in KiB: {weights:?}");
        let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
        assert!(total < 48 << 10, "api and agent weigh {total} KiB");
    });
}
