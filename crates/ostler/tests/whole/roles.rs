//! The two processes of a node, for any path of their program.

use std::os::unix::fs::PermissionsExt;

use crate::harness::namespace::with_bridge;
use crate::harness::{PROGRAM, TestNode, left_out};

#[test]
fn a_node_runs_from_a_folder_that_its_users_may_not_enter() {
    if left_out("a program below a closed folder") {
        return;
    }
    with_bridge(async {
        let closed = tempfile::tempdir().unwrap();
        let own = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(closed.path(), own).unwrap();
        let program = closed.path().join("ostler");
        std::fs::copy(PROGRAM, &program).unwrap();
        let mut node = TestNode::start(async |_| {}).await;
        node.restart_from(&program).await;
        assert_ne!(api_uid(&node), 0, "the API is not root");
        // An upgrade replaces the file; dead processes are still restarted.
        std::fs::remove_file(&program).unwrap();
        node.kill_role("api").await;
        assert_ne!(api_uid(&node), 0, "the API is not root");
    });
}

#[test]
fn the_api_takes_the_descriptors_that_it_may_have() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    if left_out("descriptors of the API") {
        return;
    }
    with_bridge(async {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let usual = Rlimit {
            current: Some(1_024),
            maximum,
        };
        setrlimit(Resource::Nofile, usual).unwrap();
        let node = TestNode::start(async |_| {}).await;
        let limits = format!("/proc/{}/limits", node.role("api")[0]);
        let limits = std::fs::read_to_string(limits).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let soft: u64 = line
            .unwrap()
            .split_whitespace()
            .nth(3)
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(soft, maximum.unwrap_or(65_536).min(65_536));
    });
}

/// The uid of the API, real, effective and saved: it cannot change to another one.
fn api_uid(node: &TestNode) -> u32 {
    let status = format!("/proc/{}/status", node.role("api")[0]);
    let status = std::fs::read_to_string(status).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .unwrap();
    let uids: Vec<u32> = line
        .split_whitespace()
        .skip(1)
        .map(|uid| uid.parse().unwrap())
        .collect();
    assert!(uids.iter().all(|uid| *uid == uids[0]), "{line}");
    uids[0]
}
