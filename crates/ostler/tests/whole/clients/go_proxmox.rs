//! go-proxmox: users, environment and a machine's life, by the program in
//! `tests/clients/go-proxmox`.

use std::process::Command;

use super::{ADMIN, PASSWORD, done, folder, node_with_admin, nothing_is_left};
use crate::harness::namespace::with_bridge;
use crate::harness::{go, left_out, tiny_disk};

// covers: S1.27
#[test]
#[ignore = "thorough: it builds a client in Go"]
fn go_proxmox_does_what_it_does_with_proxmox_ve() {
    if left_out("go-proxmox") {
        return;
    }
    let Some(program) = go::ours(&folder("go-proxmox"), "go-proxmox") else {
        return;
    };
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = node_with_admin().await;
        let images = tempfile::tempdir().unwrap();
        let image = images.path().join("tiny.qcow2");
        std::fs::copy(&disk, &image).unwrap();
        let endpoint = format!("https://127.0.0.1:{}", node.port);
        let mut command = Command::new(program);
        command
            .args([&endpoint, ADMIN, PASSWORD, "pve1"])
            .arg(image);
        done(&mut command).await;
        nothing_is_left(&node);
    });
}
