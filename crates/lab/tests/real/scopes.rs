//! The host of the crate `sys`, with its own tests, under systemd with cgroup v2.

use std::path::PathBuf;
use std::time::Duration;

use lab::{Lab, Node};

const SOON: Duration = Duration::from_secs(120);

/// The packaged unit whose control groups contain the guests.
const GUESTS: &[u8] = include_bytes!("../../../../packaging/systemd/ostler-guests.service");

/// Runs all tests of `sys::RealHost` in a node. None is left out there.
fn conforms(node: &Node) {
    let output = node
        .run_within(SOON, "/opt/real --test-threads=1 --show-output 2>&1")
        .unwrap();
    // Indented, so that the results are not mistaken for ours.
    let text = output.text().replace('\n', "\n    | ");
    assert!(output.success(), "{text}");
    assert!(!text.contains("left out"), "{text}");
    assert!(
        text.contains("test limits_are_set_and_hold ... ok"),
        "{text}"
    );
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn scopes_are_what_they_are_elsewhere_on_systemd_with_cgroup_v2() {
    let tests = std::env::var_os("OSTLER_LAB_SYS_TESTS").expect("./x lab test names the program");
    let tests = PathBuf::from(tests);
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    node.deliver(&[&tests], "/opt").unwrap();
    let name = tests.file_name().unwrap().to_string_lossy();
    node.check(&format!("mv /opt/{name} /opt/real")).unwrap();
    assert_eq!(
        node.check("stat -fc %T /sys/fs/cgroup").unwrap(),
        "cgroup2fs"
    );
    // At the top of the tree, and then in the delegated one.
    conforms(node);
    node.put("/etc/systemd/system/ostler-guests.service", GUESTS, 0o644)
        .unwrap();
    node.check("systemctl daemon-reload && systemctl start ostler-guests")
        .unwrap();
    conforms(node);
    let delegated = "/sys/fs/cgroup/system.slice/ostler-guests.service";
    let controllers = node
        .check(&format!("cat {delegated}/cgroup.subtree_control"))
        .unwrap();
    for controller in ["cpu", "cpuset", "memory", "pids"] {
        assert!(
            controllers.split(' ').any(|word| word == controller),
            "{controllers}"
        );
    }
    // Nothing was left, so systemd stops the unit completely.
    assert_eq!(
        node.check(&format!("cd {delegated} && echo */")).unwrap(),
        "keeper/"
    );
    node.check("systemctl stop ostler-guests").unwrap();
    assert!(!node.run(&format!("ls -d {delegated}")).unwrap().success());
}
