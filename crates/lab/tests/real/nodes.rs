//! Nodes: their identity, their scripts, and that nothing of them stays.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lab::{Lab, LabError, Moment, wait_for};

const SOON: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn three_nodes_have_names_and_addresses_of_their_own() {
    let begun = Moment::now();
    let lab = Lab::start(3).unwrap();
    println!("three nodes were up after {:?}", begun.elapsed());
    let mut seen: [BTreeSet<String>; 4] = Default::default();
    for node in lab.nodes() {
        assert_eq!(node.check("hostname").unwrap(), node.name());
        let facts = [
            "cat /etc/machine-id",
            "cat /proc/sys/kernel/random/uuid",
            "cat /sys/class/net/eth0/address",
            "ip -6 -o address show dev eth0 scope link | tr -s ' ' | cut -d' ' -f4",
        ];
        for (facts, script) in seen.iter_mut().zip(facts) {
            facts.insert(node.check(script).unwrap());
        }
        for other in lab.nodes() {
            node.check(&format!("ping -c 1 -W 5 {}", other.name()))
                .unwrap();
        }
        let ahead = node.check("date +%s").unwrap();
        let here = Command::new("date").arg("+%s").output().unwrap();
        let here: i64 = String::from_utf8(here.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let off = ahead.parse::<i64>().unwrap() - here;
        assert!(off.abs() <= 2, "{} is off by {off} s", node.name());
    }
    for facts in &seen {
        assert_eq!(facts.len(), 3, "{facts:?}");
    }
    let [n1, n2, _] = lab.nodes() else {
        panic!("three nodes")
    };
    assert!(lab.hub().counters(n1, n2).passed > 0);
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn scripts_have_input_output_codes_and_signals() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let output = node.run("echo out; echo err >&2; exit 7").unwrap();
    assert_eq!(
        (output.code, output.text(), output.error_text()),
        (7, "out".to_owned(), "err".to_owned())
    );
    // Descriptors inherited by a daemon do not keep its starter from ending.
    let begun = Moment::now();
    let daemon = node.check("sleep 100 & echo $!").unwrap();
    node.check(&format!("kill -0 {daemon}")).unwrap();
    assert!(begun.elapsed() < SOON);
    let output = node.run("kill -9 $$").unwrap();
    assert_eq!(output.code, 128 + 9);
    let late = node.run_within(Duration::from_millis(300), "echo $$ >/run/late; sleep 200");
    assert!(matches!(late, Err(LabError::Timeout { .. })), "{late:?}");
    node.wait_until(SOON, "! kill -0 $(cat /run/late) 2>/dev/null")
        .unwrap();
    // Scripts run in parallel, and each gets its own input.
    let jobs: Vec<_> = (0..3)
        .map(|_| node.spawn_with_input("tr a-z A-Z").unwrap())
        .collect();
    for (job, word) in jobs.iter().zip(["one", "two", "three"]) {
        job.input(word.as_bytes()).unwrap();
        job.end_input().unwrap();
    }
    let texts: Vec<String> = jobs
        .into_iter()
        .map(|job| job.wait(SOON).unwrap().text())
        .collect();
    assert_eq!(texts, ["ONE", "TWO", "THREE"]);
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn files_come_and_go_whole() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    node.put("/root/file", &bytes, 0o751).unwrap();
    assert_eq!(
        node.check("stat -c '%a %s' /root/file").unwrap(),
        "751 3000000"
    );
    assert!(node.get("/root/file").unwrap() == bytes);
    assert!(node.get("/root/none").is_err());

    let folder = lab.folder().join("fresh");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("big"), vec![7; 20 << 20]).unwrap();
    fs::write(folder.join("sub/small"), "small").unwrap();
    let begun = Moment::now();
    node.deliver(&[&folder], "/opt").unwrap();
    println!("20 MiB were delivered in {:?}", begun.elapsed());
    assert_eq!(node.check("stat -c %s /opt/fresh/big").unwrap(), "20971520");
    assert_eq!(node.get("/opt/fresh/sub/small").unwrap(), b"small");
    // The disk of the delivery is gone, and its slot is free for the next.
    node.deliver(&[&folder.join("sub/small")], "/opt").unwrap();
    assert_eq!(
        node.check("ls /dev/disk/by-id | grep -c delivery || true")
            .unwrap(),
        "0"
    );
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn the_console_tells_what_the_kernel_says() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    node.check("echo '<0>hello from the kernel' >/dev/kmsg")
        .unwrap();
    let told = || {
        node.console()
            .is_ok_and(|text| text.contains("hello from the kernel"))
    };
    wait_for("the kernel's words on the console", SOON, told).unwrap();
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_failed_test_leaves_its_traces() {
    let failing = std::thread::Builder::new().name("traces::of_failure".to_owned());
    let failing = failing.spawn(|| {
        let lab = Lab::start(1).unwrap();
        let disk = lab.disk("traced", 16 << 20).unwrap();
        let device = lab.node(1).attach(&disk).unwrap();
        let write = format!("dd if=/dev/zero of={device} bs=4k count=1 oflag=direct");
        lab.node(1).check(&write).unwrap();
        let folder = lab.keep_traces().unwrap();
        (folder, lab.folder().to_owned())
    });
    let (traces, folder) = failing.unwrap().join().unwrap();
    assert!(!folder.exists(), "the lab's own folder is gone");
    assert!(
        traces
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("traces-of_failure-")
    );
    let text = |name: &str| fs::read_to_string(traces.join(name)).unwrap();
    assert!(text("n1.journal.log").contains("Journal started"));
    assert!(text("n1.events.log").contains("MIGRATION"));
    assert!(text("hub.log").contains("n1 -> n1"));
    assert!(text("disks.log").contains("traced n1 0 4096"));
    assert!(traces.join("n1.console.log").exists());
    fs::remove_dir_all(traces).unwrap();
}

/// A cache with the parts of the real one and a supervisor of its own.
fn second_cache() -> tempfile::TempDir {
    let real = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    let cache = tempfile::tempdir().unwrap();
    let lab = cache.path().join("lab");
    fs::create_dir(&lab).unwrap();
    for item in fs::read_dir(Path::new(&real).join("lab"))
        .unwrap()
        .flatten()
    {
        if item.file_name().to_string_lossy().starts_with("built-") {
            std::os::unix::fs::symlink(item.path(), lab.join(item.file_name())).unwrap();
        }
    }
    cache
}

/// The processes whose command line names the folder.
fn processes_of(folder: &Path) -> Vec<(i32, String)> {
    let name = folder.display().to_string();
    let listed = fs::read_dir("/proc").unwrap().flatten();
    let pids = listed.filter_map(|item| item.file_name().to_string_lossy().parse::<i32>().ok());
    pids.filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(&name).then_some((pid, line))
    })
    .collect()
}

fn lab_command(cache: &Path, words: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.env("OSTLER_CACHE", cache).args(words);
    command.output().unwrap()
}

fn is_clean(cache: &Path) -> bool {
    let left = fs::read_dir(cache.join("lab/run")).unwrap().flatten();
    let left: Vec<_> = left.filter(|item| item.file_name() != "up.lock").collect();
    left.iter().all(|item| item.file_name() == "control.sock") && processes_of(cache).is_empty()
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn the_command_line_starts_runs_breaks_and_ends_a_lab() {
    let cache = second_cache();
    let cache = cache.path();
    let run = |words: &[&str]| {
        let output = lab_command(cache, words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap(), text)
    };
    assert_eq!(
        run(&["up", "2"]),
        (0, "n1 10.77.0.1 on\nn2 10.77.0.2 on\n".to_owned())
    );
    assert_ne!(run(&["up", "1"]).0, 0, "there is one lab at a time");
    assert_eq!(
        run(&["exec", "n2", "hostname; exit 3"]),
        (3, "n2\n".to_owned())
    );
    assert_eq!(run(&["fault", "n1", "cut:n2"]).0, 0);
    assert_eq!(run(&["exec", "n1", "ping -c 1 -W 1 n2 >/dev/null"]).0, 1);
    assert_eq!(run(&["fault", "n1", "heal"]).0, 0);
    assert_eq!(run(&["exec", "n1", "ping -c 1 -W 9 n2 >/dev/null"]).0, 0);
    assert_eq!(run(&["fault", "n1", "melt"]).0, 1);
    assert_eq!(run(&["exec", "n7", "true"]).0, 1);
    assert_eq!(run(&["fault", "n1", "kill"]).0, 0);
    assert!(
        run(&["status"])
            .1
            .starts_with("n1 10.77.0.1 off\nn2 10.77.0.2 on\n")
    );
    assert_eq!(run(&["down"]).0, 0);
    assert!(is_clean(cache), "{:?}", processes_of(cache));
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn nothing_stays_of_a_lab_whose_supervisor_is_killed() {
    let cache = second_cache();
    let cache = cache.path();
    // The supervisor gets its cache from its environment; QEMUs have it in their arguments.
    let up = Command::new(env!("CARGO_BIN_EXE_lab"))
        .env("OSTLER_CACHE", cache)
        .args(["up", "2"])
        .output()
        .unwrap();
    assert!(up.status.success(), "{up:?}");
    let running = processes_of(cache);
    let qemus: Vec<_> = running
        .iter()
        .filter(|(_, line)| line.starts_with("qemu"))
        .collect();
    assert_eq!(qemus.len(), 2, "{running:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", qemus[0].0)).unwrap();
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap();
    let killed = Command::new("kill")
        .args(["-9", parent.trim()])
        .status()
        .unwrap();
    assert!(killed.success());
    wait_for("all of the lab to end", SOON, || is_clean(cache)).unwrap();
}
