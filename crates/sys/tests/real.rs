//! The real host: files, processes, scopes on cgroup v1 or v2, taps in a network namespace.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail where it stands"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sys::{
    Cell, CellMount, CellSource, Command, Fence, Files, Limits, Links, Processes, RealHost,
    ScopeName, Scopes, Stdio, SysError, TapOptions,
};
use testkit::left_out::missing;

/// A host whose scopes are removed at the end.
struct Host {
    host: RealHost,
    root: String,
}

impl std::ops::Deref for Host {
    type Target = RealHost;

    fn deref(&self) -> &RealHost {
        &self.host
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let places = [
            ".",
            "system.slice/ostler-guests.service",
            "cpu",
            "cpuacct",
            "cpuset",
            "memory",
            "pids",
            "freezer",
        ];
        for place in places {
            // A failed test leaves scopes behind; their names say which test.
            let _ = std::fs::remove_dir(format!("/sys/fs/cgroup/{place}/{}", self.root));
        }
    }
}

/// The real host with a scope root of this test's own; none, with a printed reason, if that is
/// impossible.
fn host(test: &str) -> Option<Host> {
    if !rustix::process::getuid().is_root() {
        missing(test, "it needs root");
        return None;
    }
    let root = format!("ostler-test-{}-{test}", std::process::id());
    match RealHost::open(&root) {
        Ok(host) => Some(Host { host, root }),
        Err(error) => {
            missing(test, error);
            None
        }
    }
}

fn guest(number: u32) -> ScopeName {
    ScopeName::guest(model::VmId::new(number).unwrap())
}

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script])
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

#[tokio::test]
async fn a_scope_holds_all_descendants_and_kills_them_whole() {
    let Some(host) = host("kill") else { return };
    let scope = guest(100);
    host.create_scope(&scope, &Limits::default()).await.unwrap();
    host.create_scope(&scope, &Limits::default()).await.unwrap();
    // Children that keep forking, and one that has left its parents.
    let script = "setsid sleep 1000 & while :; do (sleep 1000 &) ; sleep 0.01; done";
    let first = host.spawn(shell(script), &scope).await.unwrap();
    assert!(host.is_alive(&first).await.unwrap());
    until("there are many", async || {
        host.members(&scope).await.unwrap().len() > 10
    })
    .await;
    assert_eq!(host.scopes().await.unwrap(), std::slice::from_ref(&scope));
    assert!(!host.remove_scope(&scope).await.unwrap());
    host.kill_scope(&scope).await.unwrap();
    assert!(host.members(&scope).await.unwrap().is_empty());
    assert!(host.scopes().await.unwrap().is_empty());
    until("the first is gone", async || {
        !host.is_alive(&first).await.unwrap()
    })
    .await;
    host.kill_scope(&scope).await.unwrap();
    assert!(host.remove_scope(&scope).await.unwrap());
}

#[tokio::test]
async fn a_terminal_is_typed_into_read_and_resized() {
    let Some(host) = host("terminal") else { return };
    let scope = ScopeName::shell("7f");
    host.create_scope(&scope, &Limits::default()).await.unwrap();
    let script =
        "exec <&- >&- 2>&-; exec </dev/tty >/dev/tty; read line; tty; stty size; echo $line";
    let terminal = host.spawn_at_terminal(shell(script), &scope).await.unwrap();
    assert_eq!(host.scopes().await.unwrap(), std::slice::from_ref(&scope));
    terminal.resize(123, 45).unwrap();
    assert_eq!(terminal.write(b"typed\n").await.unwrap(), 6);
    let (mut said, mut part) = (Vec::new(), [0; 512]);
    loop {
        match terminal.read(&mut part).await.unwrap() {
            0 => break,
            read => said.extend_from_slice(&part[..read]),
        }
    }
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("/dev/pts/") || said.contains("/dev/tty"),
        "{said}"
    );
    assert!(said.contains("45 123\r\ntyped\r\n"), "{said}");
    // Dropping our side hangs up.
    let terminal = host
        .spawn_at_terminal(shell("sleep 1000"), &scope)
        .await
        .unwrap();
    drop(terminal);
    until("it has ended", async || {
        host.members(&scope).await.unwrap().is_empty()
    })
    .await;
    host.kill_scope(&scope).await.unwrap();
}

#[tokio::test]
async fn limits_are_set_and_hold() {
    let Some(host) = host("limits") else { return };
    let scope = guest(101);
    let limits = Limits {
        cpus: Some(0.5),
        cpu_weight: Some(50),
        cpu_list: Some("0".into()),
        memory_bytes: Some(32 << 20),
        processes: Some(20),
        swap_bytes: None,
    };
    host.create_scope(&scope, &limits).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    // One process takes all of the memory: while it is killed, another that allocates could be
    // killed next.
    let script = "tail /dev/zero >/dev/null; echo $?; grep Cpus_allowed_list /proc/self/status";
    let process = host
        .spawn(shell(script).output(Stdio::File(out.clone())), &scope)
        .await
        .unwrap();
    until("it ended", async || !host.is_alive(&process).await.unwrap()).await;
    let text = String::from_utf8(std::fs::read(&out).unwrap()).unwrap();
    assert!(
        text.contains("137") && text.contains("Cpus_allowed_list:\t0\n"),
        "{text}"
    );
    assert!(host.usage(&scope).await.unwrap().cpu_us > 0);
    host.limit_scope(&scope, &Limits::default()).await.unwrap();
    host.kill_scope(&scope).await.unwrap();
}

/// Whatever numbers its descriptors have, the program is in the scope.
#[tokio::test]
async fn passed_descriptors_do_not_keep_a_program_from_its_scope() {
    let Some(host) = host("passed") else { return };
    let scope = guest(104);
    host.create_scope(&scope, &Limits::default()).await.unwrap();
    let file = std::sync::Arc::new(tempfile::tempfile().unwrap().into());
    let numbers = 20..80;
    let command = Command {
        descriptors: numbers
            .map(|number| (number, std::sync::Arc::clone(&file)))
            .collect(),
        ..shell("exec sleep 1000")
    };
    // Enough open files that those of the control groups are among these numbers.
    let _open: Vec<_> = (0..30).map(|_| tempfile::tempfile().unwrap()).collect();
    let process = host.spawn(command, &scope).await.unwrap();
    until("the program is in the scope", async || {
        host.members(&scope).await.unwrap() == [process.clone()]
    })
    .await;
    host.kill_scope(&scope).await.unwrap();
}

#[tokio::test]
async fn a_process_outlives_the_one_that_made_it_and_is_known_again() {
    let Some(host) = host("identity") else { return };
    let scope = guest(102);
    host.create_scope(&scope, &Limits::default()).await.unwrap();
    let process = host.spawn(shell("exec sleep 1000"), &scope).await.unwrap();
    let again = RealHost::open(&format!("ostler-test-{}-identity", std::process::id())).unwrap();
    assert!(again.is_alive(&process).await.unwrap());
    assert_eq!(
        again.members(&scope).await.unwrap(),
        std::slice::from_ref(&process)
    );
    let mut other = process.clone();
    other.start_time += 1;
    assert!(
        !again.is_alive(&other).await.unwrap(),
        "the same pid is not the same process"
    );
    again.kill_scope(&scope).await.unwrap();
}

/// A loop device, which goes with the test.
struct Loop(String);

impl Drop for Loop {
    #[expect(clippy::disallowed_methods, reason = "nothing waits in a drop")]
    fn drop(&mut self) {
        let detached = std::process::Command::new("losetup")
            .args(["--detach", &self.0])
            .status();
        assert!(detached.is_ok());
    }
}

#[tokio::test]
async fn a_device_is_free_unless_it_is_mounted() {
    let Some(host) = host("device") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, point) = (folder.path().join("file"), folder.path().join("point"));
    std::fs::File::create(&file)
        .unwrap()
        .set_len(8 << 20)
        .unwrap();
    std::fs::create_dir(&point).unwrap();
    let text = |path: &Path| path.display().to_string();
    let set_up = Command::new("losetup").args(["--find", "--show", &text(&file)]);
    let made = host.run(set_up).await.unwrap();
    if !made.success() {
        return missing("a device", made.complaint());
    }
    let device = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let device = Loop(device);
    let run = async |program: &str, args: &[&str]| {
        let ended = host.run(Command::new(program).args(args.iter().copied()));
        assert!(ended.await.unwrap().success(), "{program}");
    };
    run("mkfs.ext4", &["-q", &device.0]).await;
    let is_free = async || host.is_device_free(Path::new(&device.0)).await.unwrap();
    assert!(is_free().await);
    run("mount", &[&device.0, &text(&point)]).await;
    assert!(!is_free().await);
    run("umount", &[&text(&point)]).await;
    assert!(is_free().await);
    let none = host.is_device_free(Path::new("/dev/no-such-disk")).await;
    assert!(none.unwrap_err().is_not_found());
}

/// The program is named by its argument: whether it runs, the list of processes shows.
async fn is_running(host: &Host, seconds: &str) -> bool {
    let found = host.run(Command::new("pgrep").args(["-fx", &format!("sleep {seconds}")]));
    found.await.unwrap().success()
}

/// A deadline ends a program whose caller is gone, and with its caller it ends at once.
#[tokio::test]
async fn a_program_with_a_deadline_ends_in_time_whatever_becomes_of_its_caller() {
    let Some(host) = host("deadline") else { return };
    let sleep = |seconds: &str, after| {
        let command = Command::new("sleep").arg(seconds);
        command.deadline(Some(Duration::from_millis(after)))
    };
    let quick = host.run(sleep("0", 5000)).await.unwrap();
    assert!(quick.success());
    let late = host.run(sleep("71.5", 100)).await;
    assert!(matches!(late, Err(SysError::ProgramTimeout { .. })));
    assert!(!is_running(&host, "71.5").await);
    {
        let running = host.run(sleep("72.5", 60_000));
        let cut = tokio::time::timeout(Duration::from_millis(300), running).await;
        assert!(cut.is_err());
    }
    while is_running(&host, "72.5").await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn programs_are_run_with_input_and_end_in_time() {
    let Some(host) = host("run") else { return };
    let output = host.run(Command::new("cat").input("hello")).await.unwrap();
    assert_eq!(output.stdout, b"hello");
    let error = host
        .run(shell("echo one >&2; echo two >&2; exit 3"))
        .await
        .unwrap();
    let error = error.checked("sh").unwrap_err();
    assert_eq!(error.to_string(), "sh failed with exit code 3: two");
    let slow = Command::new("sleep")
        .arg("1000")
        .timeout(Some(Duration::from_millis(50)));
    assert!(matches!(
        host.run(slow).await,
        Err(SysError::ProgramTimeout { .. })
    ));
    let (listener, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let scope = ScopeName::task("run");
    host.create_scope(&scope, &Limits::default()).await.unwrap();
    let talk = shell("cat /proc/self/cgroup; echo done").scope(scope.clone());
    host.run(talk.heard_by(listener)).await.unwrap();
    let mut said = Vec::new();
    while let Some(part) = heard.recv().await {
        said.extend(part);
    }
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("/task-run\n") && said.ends_with("done\n"),
        "{said}"
    );
    host.kill_scope(&scope).await.unwrap();
    let missing = host.run(Command::new("no-such-program")).await.unwrap_err();
    assert_eq!(missing.to_string(), "no-such-program is not installed");
    let as_nobody = host
        .run(Command::new("id").arg("-u").user(65534, 65534))
        .await
        .unwrap();
    assert_eq!(as_nobody.stdout, b"65534\n");
    // A file that only root and a group may read, as /dev/kvm is on most machines.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("of-a-group");
    std::fs::write(&file, "x").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    host.chown(&file, 0, 4242).await.unwrap();
    let name = file.display().to_string();
    let read = Command::new("cat").arg(name).user(65534, 65534);
    assert!(!host.run(read.clone()).await.unwrap().success());
    let in_group = Command {
        groups_of: vec![file.clone()],
        ..read
    };
    assert_eq!(host.run(in_group.clone()).await.unwrap().stdout, b"x");
    host.chown(&file, 0, 0).await.unwrap();
    assert!(
        !host.run(in_group).await.unwrap().success(),
        "root's group is nobody's"
    );
    let environment = host.run(Command::new("env")).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&environment.stdout).lines().count(),
        2
    );
}

#[tokio::test]
async fn files_are_written_wholly_and_with_their_mode() {
    let Some(host) = host("files") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/secret");
    assert!(
        host.write(&file, b"x", 0o600)
            .await
            .unwrap_err()
            .is_not_found()
    );
    host.create_dir(file.parent().unwrap(), 0o700)
        .await
        .unwrap();
    host.write(&file, b"one", 0o600).await.unwrap();
    host.append(&file, b" two", true).await.unwrap();
    assert_eq!(host.read(&file).await.unwrap(), b"one two");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let other = file.with_file_name("other");
    host.write(&other, b"", 0o644).await.unwrap();
    assert!(
        host.rename(&file, &other).await.is_err(),
        "a rename never replaces"
    );
    assert!(!host.remove_dir(file.parent().unwrap()).await.unwrap());
    assert!(host.remove(&other).await.unwrap() && !host.remove(&other).await.unwrap());
    assert_eq!(host.list(file.parent().unwrap()).await.unwrap().len(), 1);
    assert_eq!(host.list(Path::new("/no/such")).await.unwrap(), []);
    assert!(host.space(Path::new("/")).await.unwrap().total > 0);
}

/// In a network namespace of its own: the test starts itself again under `unshare`.
#[test]
fn taps_and_bridges_in_a_namespace() {
    const INSIDE: &str = "OSTLER_TEST_NAMESPACE";
    if host("links").is_none() {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(taps_and_bridges());
    }
    let me = std::env::current_exe().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test starts itself again")]
    let inside = std::process::Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "sh",
            "-c",
            "mount -t sysfs s /sys && exec \"$@\"",
            "sh",
        ])
        .arg(me)
        .args(["--exact", "taps_and_bridges_in_a_namespace", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&inside.stdout);
    assert!(
        inside.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&inside.stderr)
    );
}

async fn taps_and_bridges() {
    let host = RealHost::open("ostler-test-unused").unwrap();
    host.create_bridge("vmbr7").await.unwrap();
    host.create_bridge("vmbr7").await.unwrap();
    let options = TapOptions {
        owner: Some(65534),
        multi_queue: false,
        mtu: Some(1400),
    };
    host.create_tap("tap100i0", &options).await.unwrap();
    host.create_tap("tap100i0", &options).await.unwrap();
    host.join_bridge("tap100i0", "vmbr7").await.unwrap();
    host.join_bridge("tap100i0", "vmbr7").await.unwrap();
    let many = TapOptions {
        multi_queue: true,
        ..TapOptions::default()
    };
    host.create_tap("tap100i1", &many).await.unwrap();
    let links = host.links().await.unwrap();
    let tap = links.iter().find(|link| link.name == "tap100i0").unwrap();
    assert_eq!(
        (tap.mtu, tap.master.as_deref(), tap.up),
        (1400, Some("vmbr7"), true)
    );
    host.create_bridge("vmbr6").await.unwrap();
    host.join_bridge("tap100i0", "vmbr6").await.unwrap();
    let links = host.links().await.unwrap();
    let tap = links.iter().find(|link| link.name == "tap100i0").unwrap();
    assert_eq!(tap.master.as_deref(), Some("vmbr6"));
    assert!(host.remove_bridge("vmbr6").await.unwrap());
    let missing = host.join_bridge("tap100i0", "vmbr8").await.unwrap_err();
    assert_eq!(missing.to_string(), "bridge 'vmbr8' does not exist");
    assert!(
        host.remove_tap("lo").await.is_err(),
        "only taps are removed"
    );
    for tap in ["tap100i0", "tap100i1"] {
        assert!(host.remove_tap(tap).await.unwrap());
        assert!(!host.remove_tap(tap).await.unwrap());
    }
    assert!(host.remove_bridge("vmbr7").await.unwrap());
    assert!(!host.remove_bridge("vmbr7").await.unwrap());
}

/// A folder of the test's own that all users may pass.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everybody).unwrap();
    folder
}

async fn fenced(host: &RealHost, fence: Fence, script: &str) -> (String, String) {
    let output = host.run(shell(script).fence(fence)).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_fenced_program_has_its_files_and_nothing_else() {
    let Some(host) = host("fence") else { return };
    let folder = open_folder();
    let (given, other) = (folder.path().join("given"), folder.path().join("other"));
    for (path, text) in [(&given, "inside"), (&other, "outside")] {
        host.write(path, text.as_bytes(), 0o600).await.unwrap();
    }
    let file = host.open_image(&given, true, false).await.unwrap();
    let fence = |write| Fence::new(None).file(&given, file.clone(), write);
    let (given, other) = (given.display(), other.display());

    let look = format!(
        "id -u; cat {given}; ls {}; ls /etc /proc /root",
        folder.path().display()
    );
    let (seen, complaints) = fenced(&host, fence(false), &look).await;
    assert_eq!(seen, "65534\ninsidegiven", "{complaints}");
    for gone in ["/etc", "/proc", "/root"] {
        assert!(complaints.contains(gone), "{gone}: {complaints}");
    }
    let (_, complaint) = fenced(&host, fence(false), &format!("cat {other}")).await;
    assert!(complaint.contains("No such file"), "{complaint}");

    let write = format!("echo -n changed > {given}");
    let (_, complaint) = fenced(&host, fence(false), &write).await;
    assert!(complaint.contains("Read-only"), "{complaint}");
    let (_, complaint) = fenced(&host, fence(true), &write).await;
    assert_eq!(complaint, "");
    assert_eq!(
        std::fs::read_to_string(given.to_string()).unwrap(),
        "changed"
    );
    for made in ["/new", "/usr/new", "/dev/new"] {
        let (_, complaint) = fenced(&host, fence(true), &format!("echo > {made}")).await;
        assert!(complaint.contains("Read-only"), "{made}: {complaint}");
    }
    // Ways to get out.
    for way in [
        "mount -t tmpfs x /usr",
        "chroot /usr /bin/true",
        "mknod /given2 b 254 0",
    ] {
        let (_, complaint) = fenced(&host, fence(true), way).await;
        assert!(!complaint.is_empty(), "{way}");
    }
}

#[tokio::test]
async fn a_fence_holds_the_file_that_was_opened() {
    let Some(host) = host("fence-swap") else {
        return;
    };
    let folder = open_folder();
    let (given, secret) = (folder.path().join("given"), folder.path().join("secret"));
    host.write(&given, b"inside", 0o600).await.unwrap();
    host.write(&secret, b"secret", 0o600).await.unwrap();
    let file = host.open_image(&given, false, false).await.unwrap();
    host.exchange(&given, &secret).await.unwrap();
    let fence = Fence::new(None).file(&given, file, false);
    let (seen, complaint) = fenced(&host, fence, &format!("cat {}", given.display())).await;
    assert_eq!(seen, "inside", "{complaint}");
}

#[tokio::test]
async fn a_fenced_program_takes_no_more_than_it_may() {
    let Some(host) = host("fence-limits") else {
        return;
    };
    let fence = Fence::new(Some(Duration::from_secs(1)));
    let spin = shell("while :; do :; done").fence(fence.clone());
    let ended = host.run(spin).await.unwrap();
    assert_eq!(ended.code, None, "the kernel ends it");
    let small = Fence {
        memory_bytes: 64 << 20,
        ..fence
    };
    let greedy = "dd if=/dev/zero of=/dev/null bs=512M count=1";
    let (_, complaint) = fenced(&host, small, greedy).await;
    assert!(complaint.contains("memory exhausted"), "{complaint}");
}

#[tokio::test]
async fn a_fence_without_devices_lets_only_marks_of_overlays_be_made() {
    let Some(host) = host("fence-devices") else {
        return;
    };
    let folder = open_folder();
    let in_cell = async |fence: Fence, script: &str| {
        let root = CellMount {
            source: CellSource::Folder(folder.path().to_owned()),
            at: "/".to_owned(),
            read_only: false,
            options: Vec::new(),
            acl: None,
            in_use: false,
        };
        let cell = Cell {
            mounts: vec![root],
            at: Cell::INSIDE.into(),
            beside: None,
            first_id: None,
            hides: None,
            program: None,
        };
        let command = shell(script).fence(fence).cell(cell);
        host.run(command).await.unwrap()
    };
    let made = in_cell(Fence::new(None), "mknod /container/any b 8 0").await;
    assert!(made.success(), "{made:?}");
    let script = "mknod /container/gone c 0 0 && mkfifo /container/pipe && \
                  ! mknod /container/block b 8 0 && ! mknod /container/null c 1 3";
    let kept = in_cell(Fence::new(None).without_devices(), script).await;
    assert!(kept.success(), "{kept:?}");
    let left = host.list(folder.path()).await.unwrap();
    let mut left: Vec<&str> = left.iter().map(|entry| entry.name.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["any", "gone", "pipe"]);
}

#[tokio::test]
async fn a_fenced_program_has_a_user_of_its_own_and_a_folder() {
    let Some(host) = host("fence-folder") else {
        return;
    };
    let folder = open_folder();
    let (theirs, ours) = (folder.path().join("theirs"), folder.path().join("ours"));
    for path in [&theirs, &ours] {
        host.create_dir(path, 0o700).await.unwrap();
    }
    host.chown(&theirs, 4711, 4711).await.unwrap();
    let made = theirs.join("made");
    let fence = Fence::new(None).folder(&theirs);
    let script = format!("echo x > {}; ls {}", made.display(), ours.display());
    let output = host.run(shell(&script).fence(fence).user(4711, 4711)).await;
    let complaint = output.unwrap().complaint();
    assert!(complaint.contains("No such file"), "{complaint}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(&made).unwrap().uid(), 4711);
    // A link does not count as a folder.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&ours, &link).unwrap();
    let fence = Fence::new(None).folder(&link);
    let refused = host.run(shell("true").fence(fence)).await.unwrap_err();
    assert!(refused.to_string().contains("fence in"), "{refused}");
}

/// Files that a guest may plant in its own folder.
#[tokio::test]
async fn a_planted_link_is_not_followed() {
    let Some(host) = host("links") else { return };
    let folder = open_folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(at("secret"), at("log")).unwrap();
    std::os::unix::fs::symlink(at("new"), at("dangling")).unwrap();
    let refused = host.open_image(&at("log"), true, false).await;
    assert!(refused.is_err());
    for log in ["log", "dangling"] {
        let command = shell("echo printed").output(Stdio::File(at(log)));
        assert!(host.run(command).await.is_err(), "{log}");
    }
    assert_eq!(std::fs::read_to_string(at("secret")).unwrap(), "secret");
    assert!(!at("new").exists());

    let socket = tokio::net::UnixListener::bind(at("real")).unwrap();
    host.connect(&at("real")).await.unwrap();
    std::os::unix::fs::symlink(at("real"), at("led")).unwrap();
    for wrong in ["led", "secret"] {
        assert!(host.connect(&at(wrong)).await.is_err(), "{wrong}");
        assert!(
            host.connect_descriptor(&at(wrong)).await.is_err(),
            "{wrong}"
        );
    }
    // Our socket in a folder of theirs is refused, too.
    host.chown(folder.path(), 4711, 4711).await.unwrap();
    assert!(host.connect(&at("real")).await.is_err());
    drop(socket);
}

#[tokio::test]
async fn what_is_no_image_is_not_waited_for() {
    let Some(host) = host("pipes") else { return };
    let folder = open_folder();
    let pipe = folder.path().join("pipe");
    let made = shell(&format!("mkfifo {}", pipe.display()));
    assert!(host.run(made).await.unwrap().success());
    let refused = host.open_image(&pipe, false, false).await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("neither a file nor a block device"), "{why}");
}

/// Unmounted even if the test fails.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// A server that checks the uid sees root, from a program that has lost root's rights.
#[tokio::test]
async fn a_fenced_program_keeps_its_uid_where_a_server_judges_by_it() {
    let Some(host) = host("fence-fuse") else {
        return;
    };
    const PROGRAM: &str = "/usr/bin/qemu-storage-daemon";
    if !Path::new(PROGRAM).exists() || !Path::new("/dev/fuse").exists() {
        missing("fence-fuse", "it needs qemu-storage-daemon and FUSE");
        return;
    }
    let folder = open_folder();
    let at = |name: &str| folder.path().join(name);
    for name in ["image", "export"] {
        host.write(&at(name), &[b'x'; 4096], 0o600).await.unwrap();
    }
    let scope = guest(103);
    host.create_scope(&scope, &Limits::default()).await.unwrap();
    let (image, export) = (at("image"), at("export"));
    let nodes = format!("driver=file,node-name=f,filename={}", image.display());
    let exports = format!(
        "type=fuse,id=e,node-name=f,mountpoint={},writable=on",
        export.display()
    );
    let serve = Command::new(PROGRAM).args(["--blockdev", &nodes, "--export", &exports]);
    host.spawn(serve, &scope).await.unwrap();
    let mounted = Mounted(export.clone());
    let kind = || rustix::fs::statfs(&export).map(|found| found.f_type);
    until("it is mounted", async || {
        kind().is_ok_and(|kind| kind == 0x6573_5546)
    })
    .await;
    let file = host.open_image(&export, true, false).await.unwrap();
    let fence = Fence::new(None).file(&export, file, true);
    let export = export.display();
    let script = format!("id -u; head -c 3 {export}; printf y | dd of={export} conv=notrunc");
    let (seen, complaint) = fenced(&host, fence.clone(), &script).await;
    assert_eq!(seen, "0\nxxx", "{complaint}");
    assert_eq!(std::fs::read(&image).unwrap()[..2], *b"yx");
    for way in [
        "mount -t tmpfs x /usr",
        "chroot /usr /bin/true",
        "mknod /dev/x c 1 3",
    ] {
        let (_, complaint) = fenced(&host, fence.clone(), way).await;
        assert!(!complaint.is_empty(), "{way}");
    }
    drop(mounted);
    host.kill_scope(&scope).await.unwrap();
    assert!(host.remove_scope(&scope).await.unwrap());
}
