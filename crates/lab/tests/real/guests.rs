//! Guests on nodes: containers with cgroup v2, virtual machines with KVM.

use std::time::Duration;

use lab::Lab;

const SOON: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_container_has_the_memory_that_it_was_given_and_no_more() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    assert_eq!(
        node.check("stat -fc %T /sys/fs/cgroup").unwrap(),
        "cgroup2fs"
    );
    let config = "lxc.uts.name = c1\nlxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs\n\
                  lxc.apparmor.profile = unconfined\nlxc.net.0.type = empty\n\
                  lxc.mount.auto = proc:mixed sys:ro cgroup:mixed\n\
                  lxc.cgroup2.memory.max = 64M\nlxc.cgroup2.memory.swap.max = 0\n\
                  lxc.init.cmd = /bin/init\n";
    node.check("mkdir -p /var/lib/lxc/c1/rootfs/bin /var/lib/lxc/c1/rootfs/proc /var/lib/lxc/c1/rootfs/sys /var/lib/lxc/c1/rootfs/dev /var/lib/lxc/c1/rootfs/tmp").unwrap();
    node.put("/var/lib/lxc/c1/config", config.as_bytes(), 0o644)
        .unwrap();
    let init = "#!/bin/busybox sh\nwhile :; do busybox sleep 1000; done\n";
    node.put("/var/lib/lxc/c1/rootfs/bin/init", init.as_bytes(), 0o755)
        .unwrap();
    node.check("cp /bin/busybox /var/lib/lxc/c1/rootfs/bin/")
        .unwrap();
    node.check("lxc-start -n c1 && lxc-wait -n c1 -s RUNNING -t 30")
        .unwrap();
    let inside = |script: &str| {
        let script = script.replace('\'', "'\\''");
        node.run_within(
            SOON,
            &format!("lxc-attach -n c1 -- /bin/busybox sh -c '{script}'"),
        )
        .unwrap()
    };
    assert_eq!(inside("busybox hostname").text(), "c1");
    assert_eq!(inside("echo $(busybox ps | busybox grep -c init)").code, 0);
    let limit = "cat /sys/fs/cgroup/lxc.payload.c1/memory.max || \
                 cat $(find /sys/fs/cgroup -name 'lxc.payload.c1')/memory.max";
    assert_eq!(node.check(limit).unwrap(), (64 << 20).to_string());
    // `tail` buffers input without line ends, and is killed for it; a smaller amount fits.
    let fits = inside("busybox head -c 20000000 /dev/zero | busybox tail -c 1 | busybox wc -c");
    assert_eq!(fits.text(), "1");
    let greedy = inside("busybox tail /dev/zero");
    assert_eq!(greedy.code, 128 + 9, "{greedy:?}");
    let kills =
        "sed -n 's/^oom_kill //p' $(find /sys/fs/cgroup -path '*lxc.payload.c1/memory.events')";
    assert_ne!(node.check(kills).unwrap(), "0");
    node.check("lxc-stop -k -n c1").unwrap();
}

/// A boot sector for the first serial port: writes "kvm" and a line end, and ends QEMU by the debug
/// exit device with a code of its own.
fn boot_sector() -> Vec<u8> {
    let mut sector = vec![0xba, 0xf8, 0x03]; // mov dx, 0x3f8
    for byte in b"kvm\n" {
        sector.extend([0xb0, *byte, 0xee]); // mov al, byte; out dx, al
    }
    sector.extend([0xb0, 0x2a, 0xe6, 0xf4]); // mov al, 42; out 0xf4, al
    sector.extend([0xf4, 0xeb, 0xfd]); // hlt; jmp back
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_guest_runs_with_kvm_in_a_node() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    node.put("/root/sector", &boot_sector(), 0o644).unwrap();
    let output = node
        .run_within(
            SOON,
            "qemu-system-x86_64 -accel kvm -cpu host -m 32 -nodefaults -display none \
             -device isa-debug-exit,iobase=0xf4,iosize=1 -serial stdio \
             -drive file=/root/sector,format=raw,if=ide </dev/null",
        )
        .unwrap();
    assert_eq!(output.text(), "kvm", "{output:?}");
    assert_eq!(output.code, 2 * 42 + 1, "{output:?}");
}
