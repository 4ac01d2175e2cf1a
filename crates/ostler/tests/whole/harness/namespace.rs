//! Runs tests in a network namespace of their own, where links, guests and ports cannot collide:
//! the test starts itself again in it.

use std::path::Path;
use std::process::Command;

const INSIDE: &str = "OSTLER_TEST_NAMESPACE";

/// `/sys` shows the links of the namespace that mounted it, so it is mounted again; the control
/// groups below it are carried over.
const FRESH_SYS: &str = "keep=$(mktemp -d) && mount --rbind /sys/fs/cgroup $keep && \
     mount -t sysfs s /sys && mount --rbind $keep /sys/fs/cgroup";

/// New links get no address by themselves, which a browser would take for another network.
const NO_IPV6: &str = "set=/proc/sys/net/ipv6/conf/default/disable_ipv6 && \
     if [ -e $set ]; then echo 1 >$set; fi";

/// Runs `work` in a fresh network namespace with the bridges `vmbr0` and `vmbr1`.
///
/// `work` is an async block of the test function itself, whose name is derived from it.
pub fn with_bridge<F: Future<Output = ()>>(work: F) {
    let links = "ip link add vmbr0 type bridge && ip link set vmbr0 up && \
                 ip link add vmbr1 type bridge && ip link set vmbr1 up";
    inside(links, work);
}

/// Like `with_bridge`, with the commands that create the links.
pub fn inside<F: Future<Output = ()>>(links: &str, work: F) {
    // Without root there is no namespace, and `work` leaves itself out.
    if std::env::var_os(INSIDE).is_some() || !rustix::process::getuid().is_root() {
        return tokio::runtime::Runtime::new().unwrap().block_on(work);
    }
    let script = format!("ip link set lo up && {NO_IPV6} && {links} && {FRESH_SYS} && exec \"$@\"");
    let inside = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            test_name::<F>(),
            "--include-ignored",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    print!("{said}");
    assert!(
        inside.status.success(),
        "{}",
        String::from_utf8_lossy(&inside.stderr)
    );
    assert!(
        said.contains("1 passed"),
        "no test has this name: {}",
        test_name::<F>()
    );
}

/// A program in the network namespace of a process, with a `/sys` that shows its links.
pub fn command_in(pid: u32, program: &Path) -> Command {
    let script = format!("{FRESH_SYS} && exec \"$@\"");
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &pid.to_string(), "--net"])
        .args(["unshare", "--mount", "sh", "-c", &script, "sh"])
        .arg(program);
    command
}

/// The test that contains a future: `hotplug::cards_come`, from the type name
/// `whole::hotplug::cards_come::{{closure}}`.
fn test_name<F>() -> &'static str {
    let name = std::any::type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    name.trim_end_matches("::{{closure}}")
}
