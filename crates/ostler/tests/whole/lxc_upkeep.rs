//! Files of real containers: copied in and out while they run, looked after while they do not.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::commands::Commands;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, kill};
use crate::lxc_life::{created, inside, is_left_out, template};

fn sh(node: &TestNode, vmid: u32, script: &str) -> String {
    inside(node, vmid, &["/bin/sh", "-c", script])
}

async fn container(node: &TestNode, vmid: u32, unprivileged: u8) {
    let params = json!({
        "node": "pve1", "vmid": vmid, "ostemplate": "local:vztmpl/busy.tar.gz",
        "rootfs": "local:0.1", "mp0": "local:0.1,mp=/data", "memory": 64,
        "unprivileged": unprivileged,
    });
    assert_eq!(created(node, params).await, "OK");
}

async fn run(node: &TestNode, name: &'static str, vmid: u32) -> String {
    node.task(name, json!({"node": "pve1", "vmid": vmid})).await
}

/// The content, the owner and the mode of a file in a container.
fn about(node: &TestNode, vmid: u32, path: &str) -> String {
    sh(
        node,
        vmid,
        &format!("cat {path}; stat -c '%u %g %a' {path}"),
    )
}

#[test]
fn files_are_copied_into_containers_and_out_of_them() {
    if is_left_out("pct push") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        template(&node, "busy.tar.gz");
        let cli = Commands::new(&node.root);
        let here = node.root.join("here").display().to_string();
        std::fs::write(&here, "of the host\n").unwrap();
        for (vmid, unprivileged) in [(100, 1), (101, 0)] {
            container(&node, vmid, unprivileged).await;
            let (_, refused) = cli.fails(&format!("pct push {vmid} {here} /root/a"));
            assert!(
                refused.contains(&format!("container '{vmid}' not running!")),
                "{refused}"
            );
            assert_eq!(run(&node, "lxc_start", vmid).await, "OK");

            cli.ok(&format!("pct push {vmid} {here} /root/a"));
            assert_eq!(about(&node, vmid, "/root/a"), "of the host\n0 0 644\n");
            cli.ok(&format!(
                "pct push {vmid} {here} /data/b --user 7 --group root --perms 4750"
            ));
            assert_eq!(about(&node, vmid, "/data/b"), "of the host\n7 0 4750\n");
            // The owner and the mode of what is there stay.
            std::fs::write(&here, "once more\n").unwrap();
            cli.ok(&format!("pct push {vmid} {here} /data/b"));
            assert_eq!(about(&node, vmid, "/data/b"), "once more\n7 0 4750\n");
            assert_eq!(sh(&node, vmid, "ls -A /data | grep -v lost"), "b\n");

            let there = node.root.join("there").display().to_string();
            cli.ok(&format!(
                "pct pull {vmid} /data/b {there} --perms 600 --user 12"
            ));
            assert_eq!(std::fs::read_to_string(&there).unwrap(), "once more\n");
            let pulled = std::process::Command::new("stat")
                .args(["-c", "%u %g %a", &there])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&pulled.stdout), "12 0 600\n");
            std::fs::remove_file(&there).unwrap();
            hostile(&node, &cli, vmid, &here);
            std::fs::write(&here, "of the host\n").unwrap();
        }
        let sets = cli.ok("pct cpusets");
        assert!(sets.contains("100: ") && sets.contains("101: "), "{sets}");
    });
}

/// What a container's root may have made of a path. Nothing of it reaches the host.
fn hostile(node: &TestNode, cli: &Commands, vmid: u32, here: &str) {
    let canary = node.root.join("canary");
    std::fs::write(&canary, "untouched").unwrap();
    let folder = node.root.display();
    sh(
        node,
        vmid,
        &format!(
            "mkfifo /root/pipe; ln -s {folder} /root/up; ln -s /etc/shadow /root/shadow; mkdir -p /root/d; ln -s /none/x /root/lost"
        ),
    );
    for (path, why) in [
        ("/root/pipe", "is a pipe, not a regular file"),
        ("/dev/null", "is a device, not a regular file"),
        ("/root/d", "is a directory"),
        ("/root/up/canary", "opening the folder of"),
        ("/root/lost", "opening the folder of"),
        ("root/a", "is not an absolute path"),
    ] {
        let (_, refused) = cli.fails(&format!("pct push {vmid} {here} {path}"));
        assert!(refused.contains(why), "{path}: {refused}");
    }
    let out = node.root.join("out");
    for (path, why) in [
        ("/root/pipe", "is a pipe, not a regular file"),
        ("/dev/zero", "is a device, not a regular file"),
        ("/root/up/canary", "No such file or directory"),
        ("/root/none", "No such file or directory"),
    ] {
        let (_, refused) = cli.fails(&format!("pct pull {vmid} {path} {}", out.display()));
        assert!(refused.contains(why), "{path}: {refused}");
        assert!(!out.exists());
    }
    // A link leads to the container's own file.
    cli.ok(&format!("pct pull {vmid} /root/shadow {}", out.display()));
    assert!(
        std::fs::read_to_string(&out)
            .unwrap()
            .starts_with("root:*:")
    );
    std::fs::remove_file(&out).unwrap();
    // Its /etc is a link to where the host's is; in the container that is the container's.
    sh(node, vmid, "mv /etc /kept; ln -s /kept /etc");
    cli.ok(&format!("pct push {vmid} {here} /etc/pushed --user root"));
    assert_eq!(sh(node, vmid, "cat /kept/pushed"), "once more\n");
    assert!(!Path::new("/etc/pushed").exists());
    let (_, refused) = cli.fails(&format!("pct push {vmid} {here} /root/z --user strange"));
    assert!(
        refused.contains("user 'strange' is not in /etc/passwd"),
        "{refused}"
    );
    // The disk of the container is full: what is there stays, and nothing is left.
    let large = node.root.join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(300 << 20)
        .unwrap();
    let (_, refused) = cli.fails(&format!("pct push {vmid} {} /root/a", large.display()));
    assert!(refused.contains("No space left on device"), "{refused}");
    assert!(sh(node, vmid, "cat /root/a").starts_with("of the host"));
    assert!(!sh(node, vmid, "ls -A /root").contains(".new"));
    assert_eq!(std::fs::read_to_string(&canary).unwrap(), "untouched");
}

#[test]
fn the_file_systems_of_containers_are_looked_after() {
    if is_left_out("pct mount") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        template(&node, "busy.tar.gz");
        let cli = Commands::new(&node.root);
        container(&node, 100, 1).await;
        let df = cli.ok("pct df 100");
        let lines: Vec<Vec<&str>> = df
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[0],
            ["MP", "Volume", "Size", "Used", "Avail", "Use%", "Path"]
        );
        assert_eq!((lines[1][0], lines[1][6]), ("rootfs", "/"));
        assert_eq!((lines[2][0], lines[2][6]), ("mp0", "/data"));
        let forced = cli.ok("pct fsck 100 --force 1");
        assert!(forced.contains(" files ("), "{forced}");
        cli.ok("pct fsck 100 --device mp0");
        let trimmed = cli.ok("pct fstrim 100");
        assert!(
            trimmed.contains("/data: ") && trimmed.contains("bytes trimmed"),
            "{trimmed}"
        );
        assert!(
            !cli.ok("pct fstrim 100 --ignore-mountpoints 1")
                .contains("/data")
        );

        mounted(&node, &cli).await;

        assert_eq!(run(&node, "lxc_start", 100).await, "OK");
        assert_eq!(
            sh(&node, 100, "cat /root/written /data/too"),
            "by the host\nby the host\n"
        );
        assert!(cli.ok("pct df 100").contains("mp0"));
        assert!(cli.ok("pct fstrim 100").contains("/data: "));
        let (_, refused) = cli.fails("pct fsck 100");
        assert!(refused.contains("CT 100 is running"), "{refused}");
        let (_, refused) = cli.fails("pct mount 100");
        assert!(refused.contains("CT 100 is running"), "{refused}");
    });
}

/// Mounted, it outlives the agent, and can neither be started nor destroyed.
async fn mounted(node: &TestNode, cli: &Commands) {
    let said = cli.ok("pct mount 100");
    let root = node.root.join("run/ostler/mounted/100");
    let text = format!("mounted CT 100 in '{}'", root.display());
    assert!(said.contains(&text), "{said}");
    std::fs::write(root.join("root/written"), "by the host\n").unwrap();
    std::fs::write(root.join("data/too"), "by the host\n").unwrap();
    let status: Value = cli.json("pct config 100");
    assert_eq!(status["lock"], "mounted");
    kill(node.role("node")[0]);
    node.ready().await;
    assert!(root.join("data/too").exists());
    assert_eq!(run(node, "lxc_start", 100).await, "CT is locked (mounted)");
    assert_eq!(
        run(node, "lxc_destroy", 100).await,
        "CT is locked (mounted)"
    );
    let (_, refused) = cli.fails("pct unlock 100");
    assert!(refused.contains("pct unmount 100"), "{refused}");
    // While one works there, it stays.
    let open = std::fs::File::open(root.join("data/too")).unwrap();
    let (_, refused) = cli.fails("pct unmount 100");
    assert!(refused.contains("busy"), "{refused}");
    drop(open);
    assert!(root.join("root/written").exists());
    // A container that is started meanwhile does not keep the other's file systems.
    container(node, 101, 0).await;
    assert_eq!(run(node, "lxc_start", 101).await, "OK");
    cli.ok("pct unmount 100");
    assert!(!root.exists());
    let (_, refused) = cli.fails("pct unmount 100");
    assert!(refused.contains("CT 100 is not mounted"), "{refused}");
}
