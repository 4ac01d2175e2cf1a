//! A test in a network namespace of its own, with a bridge: the test starts itself again.

const INSIDE: &str = "OSTLER_TEST_NAMESPACE";

/// Runs `work` in a fresh network namespace with the bridge `vmbr0`. `test` is the whole name of
/// the test that calls this.
pub fn with_bridge(test: &str, work: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(work);
    }
    // What /sys shows of links belongs to the namespace that mounted it; the control groups
    // below it are carried over.
    let script = "ip link set lo up && ip link add vmbr0 type bridge && ip link set vmbr0 up && \
                  ip link add vmbr1 type bridge && ip link set vmbr1 up && \
                  keep=$(mktemp -d) && mount --rbind /sys/fs/cgroup $keep && \
                  mount -t sysfs s /sys && mount --rbind $keep /sys/fs/cgroup && exec \"$@\"";
    #[expect(clippy::disallowed_methods, reason = "a test starts itself again")]
    let inside = std::process::Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&inside.stdout));
    assert!(
        inside.status.success(),
        "{}",
        String::from_utf8_lossy(&inside.stderr)
    );
}
