//! The commands in tables (`pveum`, `pvesm`, `qm`) with a real node, shell completion and `man`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::harness::commands::{Commands, said};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out};
use serde_json::json;
use testkit::left_out::missing;

const PASSWORD: &str = "opens-1-door";

fn refused(answer: (i32, String), text: &str) {
    let (code, err) = answer;
    assert!(code == 255 && err.contains(text), "{code} {err}");
    assert!(!err.contains(PASSWORD), "{err}");
}

#[test]
fn users_and_what_they_may_live_by_pveum() {
    if left_out("cli pveum") {
        return;
    }
    with_bridge(async { users_and_rights().await });
}

async fn users_and_rights() {
    let node = TestNode::start(async |_| {}).await;
    let cli = Commands::new(&node.root);
    cli.ok("pveum group add staff --comment people");
    let twice = format!("{PASSWORD}\n{PASSWORD}\n");
    let add = "pveum user add joe@pve --groups staff --password --comment Joe";
    assert_eq!(cli.typed(add, "one-password\nanother-one\n").0, 255);
    let (code, _, err) = cli.typed(add, &twice);
    assert_eq!(code, 0, "{err}");
    as_guides_have_it(&cli);
    assert!(cli.ok("pveum user list").contains("│ joe@pve"));
    assert_eq!(cli.json("pveum group list")[0]["users"], "joe@pve");
    cli.ok("pveum role add Looker --privs VM.Audit");
    cli.ok("pveum role modify Looker --privs VM.Console --append");
    cli.ok("pveum acl modify /vms --roles Looker --groups staff");
    let permissions = cli.ok("pveum user permissions joe@pve");
    for line in [
        "│ /vms ",
        "│ VM.Audit (*)",
        "│ VM.Console (*)",
        "Permissions marked with",
    ] {
        assert!(permissions.contains(line), "{line} in\n{permissions}");
    }
    let (code, ticket, err) = cli.typed("pveum ticket joe@pve", &format!("{PASSWORD}\n"));
    assert!(
        code == 0 && ticket.starts_with("PVE:joe@pve:"),
        "{ticket}{err}"
    );
    assert_eq!(cli.typed("pveum ticket joe@pve", "wrong-wrong\n").0, 255);
    let (code, _, err) = cli.typed("pveum passwd joe@pve", "new-secret\nnew-secret\n");
    assert_eq!(code, 0, "{err}");
    assert_eq!(cli.typed("pveum ticket joe@pve", "new-secret\n").0, 0);

    a_password_is_typed_unseen(&cli);
    let (code, _, err) = cli.typed("pveum passwd joe@pve --password -", "new-secret\n");
    assert_eq!(code, 0, "{err}");
    tokens(&cli);
    cli.ok("pveum pool add web");
    cli.ok("pveum pool modify web --comment x");
    assert_eq!(
        cli.json("pveum pool list"),
        json!([{"poolid": "web", "comment": "x"}])
    );
    cli.ok("pveum acl delete /vms --roles Looker --groups staff");
    assert_eq!(cli.json("pveum acl list"), json!([]));
    cli.ok("pveum realm list");
    for line in [
        "pool delete web",
        "user delete joe@pve",
        "group delete staff",
        "role delete Looker",
    ] {
        cli.ok(&format!("pveum {line}"));
    }
    refused(cli.fails("pveum user delete joe@pve"), "joe@pve");
    refused(cli.fails("pveum user modify"), "400 not enough arguments");
    refused(cli.fails("pveum fly"), "unknown command 'fly'");
    refused(
        cli.fails("pveum realm sync x"),
        "is not supported by this version",
    );
}

/// Types `typed` after each prompt on a terminal, and returns all output.
fn on_a_terminal(cli: &Commands, line: &str, typed: &[(&str, &str)]) -> String {
    let mut terminal = program("script");
    terminal
        .args(["-qec", line, "/dev/null"])
        .envs(cli.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut shown = Vec::new();
    for (prompt, line) in typed {
        let mut byte = [0];
        while !shown.ends_with(prompt.as_bytes()) {
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "no prompt");
            shown.push(byte[0]);
        }
        keys.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    screen.read_to_end(&mut shown).unwrap();
    drop(keys);
    assert!(terminal.wait().unwrap().success(), "{shown:?}");
    String::from_utf8(shown).unwrap()
}

/// Old names, one dash, abbreviated options, a password among the arguments.
fn as_guides_have_it(cli: &Commands) {
    let told = format!("pveum useradd jim@pve -password {PASSWORD}");
    let (code, _, err) = cli.run(&told);
    assert!(
        code == 0 && err.contains("every user of this machine can read arguments"),
        "{err}"
    );
    assert_eq!(
        cli.typed("pveum ticket jim@pve", &format!("{PASSWORD}\n"))
            .0,
        0
    );
    cli.ok("pveum aclmod /vms/100 -user jim@pve -role PVEVMUser");
    let acl = cli.json("pveum acl list");
    assert_eq!(acl[0]["ugid"], "jim@pve");
    cli.ok("pveum userdel jim@pve");
}

fn a_password_is_typed_unseen(cli: &Commands) {
    let typed = [
        ("Enter new password: ", PASSWORD),
        ("Retype new password: ", PASSWORD),
    ];
    let shown = on_a_terminal(cli, "pveum passwd joe@pve", &typed);
    assert!(!shown.contains(PASSWORD), "{shown}");
    let shown = on_a_terminal(cli, "pveum ticket joe@pve", &[("Password: ", PASSWORD)]);
    assert!(
        shown.contains("PVE:joe@pve:") && !shown.contains(PASSWORD),
        "{shown}"
    );
}

fn tokens(cli: &Commands) {
    let made = cli.json("pveum user token add joe@pve ci --privsep 0");
    assert_eq!(made["full-tokenid"], "joe@pve!ci");
    assert!(cli.ok("pveum user token list joe@pve").contains("│ ci "));
    let permissions = cli.json("pveum user token permissions joe@pve ci --path /vms");
    assert_eq!(permissions["/vms"]["VM.Audit"], 1);
    cli.ok("pveum user token modify joe@pve ci --comment x");
    cli.ok("pveum user token remove joe@pve ci");
    assert_eq!(cli.json("pveum user token list joe@pve"), json!([]));
    let (code, _, err) = cli.typed(
        "pvesh create /access/tfa/joe@pve --type recovery --password",
        "new-secret\nnew-secret\n",
    );
    assert_eq!(code, 0, "{err}");
    let factors = cli.json("pveum user tfa list");
    assert_eq!(
        (&factors[0]["userid"], &factors[0]["id"]),
        (&"joe@pve".into(), &"recovery".into())
    );
    cli.ok("pveum user tfa unlock joe@pve");
    cli.ok("pveum user tfa delete joe@pve");
    assert_eq!(cli.json("pveum user tfa list joe@pve"), json!([]));
}

#[test]
fn storages_and_volumes_live_by_pvesm() {
    if left_out("cli pvesm") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let cli = Commands::new(&node.root);
        let other = node.root.join("other");
        cli.ok(&format!(
            "pvesm add dir other --path {} --content images",
            other.display()
        ));
        let status = cli.ok("pvesm status");
        let states: Vec<Vec<&str>> = status
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().take(3).collect())
            .collect();
        assert_eq!(
            states,
            [["local", "dir", "active"], ["other", "dir", "active"]],
            "{status}"
        );
        cli.ok("qm create 100 --memory 64 --kvm 0");
        let out = cli.ok("pvesm alloc other 100 vm-100-disk-7.raw 4M");
        assert_eq!(out, "successfully created 'other:100/vm-100-disk-7.raw'\n");
        let volume = "other:100/vm-100-disk-7.raw";
        let list = cli.ok("pvesm list other");
        let row: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, [volume, "raw", "images", "4194304", "100"], "{list}");
        let path = cli.ok(&format!("pvesm path {volume}"));
        let wanted = other.join("images/100/vm-100-disk-7.raw");
        assert_eq!(path.trim_end(), wanted.to_str().unwrap());
        assert!(wanted.exists());
        cli.ok(&format!("pvesm free {volume}"));
        assert!(!wanted.exists());
        refused(cli.fails(&format!("pvesm path {volume}")), volume);
        // An empty name between two spaces matches any.
        for number in 0..2 {
            let out = cli.ok("pvesm alloc other 100  4M");
            let wanted = format!("successfully created 'other:100/vm-100-disk-{number}.raw'\n");
            assert_eq!(out, wanted);
        }
        cli.ok("pvesm set other --disable");
        assert!(cli.ok("pvesm status").contains("disabled"));
        cli.ok("pvesm remove other");
        assert!(!cli.ok("pvesm status").contains("other"));
        refused(
            cli.fails("pvesm add nfs x --server y"),
            "400 Parameter verification failed.",
        );
        refused(
            cli.fails("pvesm apiinfo"),
            "501 'pvesm apiinfo' is not supported",
        );
    });
}

#[test]
fn disks_and_snapshots_live_by_qm_and_ostler() {
    if left_out("cli disks") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let cli = Commands::new(&node.root);
        cli.ok("qm create 100 --memory 64 --kvm 0 --virtio0 local:0.125,format=qcow2");
        let image = node.root.join("brought.raw");
        std::fs::write(&image, vec![7; 2 << 20]).unwrap();
        let image = image.display();
        let out = cli.ok(&format!("qm disk import 100 {image} local --format qcow2"));
        let told = "unused0: successfully imported disk 'local:100/vm-100-disk-1.qcow2'";
        assert_eq!(out.lines().last(), Some(told), "{out}");
        let config = cli.ok("qm config 100");
        assert!(
            config.contains("unused0: local:100/vm-100-disk-1.qcow2\n"),
            "{config}"
        );
        assert!(!config.contains("sata"), "{config}");
        let out = cli.ok(&format!(
            "qm importdisk 100 {image} local --target-disk scsi1 --format qcow2"
        ));
        assert!(
            out.contains("scsi1: successfully imported disk 'local:"),
            "{out}"
        );
        let again = format!("qm importdisk 100 {image} local --target-disk scsi1");
        refused(cli.fails(&again), "VM 100 has a scsi1 already");
        cli.ok("qm disk unlink 100 --idlist unused0");
        assert!(!cli.ok("qm config 100").contains("unused0"));
        cli.ok("qm resize 100 virtio0 +64M");
        assert!(cli.ok("qm config 100").contains("size=192M"));

        cli.ok("qm snapshot 100 before --description first");
        cli.ok("qm set 100 --name later");
        cli.ok("ostler vm snapshot create 100 after -d second");
        let tree = cli.ok("qm listsnapshot 100");
        let names: Vec<&str> = tree
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        assert_eq!(names, ["before", "after", "current"], "{tree}");
        let tree = cli.ok("ostler vm snapshot list 100");
        for part in ["\nbefore  ", "\n└ after  ", "\n  └ current", "second"] {
            assert!(tree.contains(part), "{part:?} in\n{tree}");
        }
        assert!(
            !cli.ok("qm config 100 --snapshot before")
                .contains("name: later")
        );
        assert_eq!(cli.fails("ostler vm snapshot rollback 100 after").0, 2);
        cli.ok("ostler vm snapshot rollback 100 after --yes");
        cli.ok("ostler vm snapshot delete 100 after");
        cli.ok("qm rollback 100 before");
        assert!(!cli.ok("qm config 100").contains("name: later"));
        cli.ok("qm delsnapshot 100 before");
        assert_eq!(cli.json("qm listsnapshot 100").as_array().unwrap().len(), 1);
        copies(&cli);

        cli.ok("qm start 100");
        let out = cli.ok(&format!("qm disk import 100 {image} local"));
        assert!(
            out.contains("unused0: successfully imported disk 'local:"),
            "{out}"
        );
        assert!(!cli.ok("qm pending 100").contains("sata"));
        cli.ok("qm stop 100");
    });
}

/// Clones and templates: commands work if this version has their operations, and say so if not.
fn copies(cli: &Commands) {
    let works = cli.ok("qm help").contains("qm clone <vmid> <newid>");
    if works {
        cli.ok("qm clone 100 101 --name copy --full");
        assert!(cli.ok("qm config 101").contains("name: copy\n"));
        cli.ok("qm template 101");
        assert!(cli.ok("qm config 101").contains("template: 1\n"));
    } else {
        for line in [
            "qm clone 100 101",
            "qm template 100",
            "qm move-disk 100 virtio0 local",
        ] {
            refused(
                cli.fails(line),
                "is not supported by this version of Ostler",
            );
        }
        assert_eq!(cli.fails("ostler vm clone 100 101").0, 1);
    }
}

fn program(name: &str) -> Command {
    Command::new(name)
}

#[test]
fn bash_completes_what_it_is_asked_to() {
    let root = tempfile::tempdir().unwrap();
    let cli = Commands::new(root.path());
    let script = cli.ok("ostler completion bash");
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ask = format!(
            "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; _ostler; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words
                .iter()
                .map(|word| format!("'{word}' "))
                .collect::<String>(),
            words.len() - 1
        );
        let mut bash = program("bash");
        bash.args(["--norc", "-c", &ask]).envs(cli.environment());
        let (code, out, err) = said(bash.output().unwrap());
        assert!(code == 0 && err.is_empty(), "{err}");
        out
    };
    assert_eq!(complete("qm snap"), "snapshot\n");
    assert_eq!(complete("pveum user token pe"), "permissions\n");
    assert_eq!(complete("pvesm list local --content --vm"), "--vmid\n");
    assert_eq!(complete("pvesh get /ver"), "/version\n");
    assert_eq!(complete("ostler task wa"), "wait\n");
    assert_eq!(complete("qm nothing-begins-so"), "\n");
}

/// The script, with replacements for zsh's own completion functions.
#[test]
fn zsh_completes_what_it_is_asked_to() {
    let root = tempfile::tempdir().unwrap();
    let cli = Commands::new(root.path());
    let script = cli.ok("ostler completion zsh");
    assert!(
        script.starts_with("#compdef ostler pvesh pveversion pct qm"),
        "{script}"
    );
    let ask = format!(
        "compdef() {{ print -r -- \"for $*\" }}\n\
         compadd() {{ print -rl -- \"${{(@P)2}}\" }}\n\
         _files() {{ print files }}\n{script}\n\
         words=(pveum user token pe); CURRENT=4; _ostler\n\
         words=(qm nothing-begins-so); CURRENT=2; _ostler"
    );
    let mut zsh = program("zsh");
    zsh.args(["-f", "-c", &ask]).envs(cli.environment());
    let Ok(output) = zsh.output() else {
        return missing("completion in zsh", "zsh is not installed");
    };
    let (code, out, err) = said(output);
    assert!(code == 0 && err.is_empty(), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("for _ostler ostler"), "{out}");
    assert_eq!(lines[1..], ["permissions", "files"], "{out}");
}

#[test]
fn man_pages_are_read_without_a_complaint() {
    let root = tempfile::tempdir().unwrap();
    let cli = Commands::new(root.path());
    let folder = root.path().join("man1");
    cli.ok(&format!("ostler man {}", folder.display()));
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let wanted = [
        "ha-manager.1",
        "ostler.1",
        "pct.1",
        "pool.1",
        "profile.1",
        "pvecm.1",
        "pvesh.1",
        "pvesm.1",
        "pveum.1",
        "pveversion.1",
        "qm.1",
        "snapshot-job.1",
        "snapshots.1",
        "storage-key.1",
        "storage.1",
        "tier.1",
    ];
    assert_eq!(names, wanted);
    for name in names {
        let mut groff = program("groff");
        groff
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(folder.join(&name));
        match groff.output() {
            Ok(output) => {
                let (code, _, err) = said(output);
                assert!(code == 0 && err.is_empty(), "{name}: {err}");
            }
            Err(_) => missing(&format!("{name} by groff"), "groff is not installed"),
        }
    }
}
