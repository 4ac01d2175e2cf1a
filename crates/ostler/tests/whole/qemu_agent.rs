//! The guest agent of a real guest: all its commands, through the API.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, put_guest, tiny_disk, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";

/// A tiny guest with an agent and a second disk, and two users of it.
struct Scene {
    node: TestNode,
    root: String,
    /// May read information and files.
    jane: String,
}

impl Scene {
    async fn new() -> Option<Self> {
        let disk = tiny_disk()?;
        let node = TestNode::start(async |store| {
            let options: [(&str, Value); 9] = [
                // Without these two a guest cannot suspend.
                ("machine", "pc,enable-s3=1,enable-s4=1".into()),
                ("memory", "128".into()),
                ("kvm", 0.into()),
                ("agent", "1".into()),
                ("serial0", "socket".into()),
                ("net0", "virtio=BC:24:11:00:00:07,link_down=1".into()),
                ("virtio0", "local:100/vm-100-disk-0.qcow2,size=64M".into()),
                ("virtio1", "local:100/vm-100-disk-1.raw,size=16M".into()),
                ("boot", "order=virtio0".into()),
            ];
            put_guest(store, 100, &options).await;
            let empty = [("memory", "64".into()), ("kvm", 0.into())];
            put_guest(store, 101, &empty).await;
            let [memory, kvm] = empty;
            put_guest(store, 102, &[memory, kvm, ("agent", 1.into())]).await;
        })
        .await;
        let images = node.root.join("var/lib/vz/images/100");
        std::fs::create_dir_all(&images).unwrap();
        std::fs::copy(disk, images.join("vm-100-disk-0.qcow2")).unwrap();
        ext4(&images.join("vm-100-disk-1.raw"));
        let call = async |op: &str, params: Value| node.call(op, params).await.unwrap().data;
        call("user_create", json!({"userid": "jane@pve"})).await;
        let privs = "VM.GuestAgent.Audit,VM.GuestAgent.FileRead";
        call("role_create", json!({"roleid": "Onlooker", "privs": privs})).await;
        let acl = json!({"path": "/vms/100", "roles": "Onlooker", "users": "jane@pve"});
        call("acl_update", acl).await;
        let token = async |user: &str| {
            let params = json!({"userid": user, "tokenid": "test", "privsep": 0});
            let made = call("token_create", params).await;
            let secret = made["value"].as_str().unwrap();
            format!("PVEAPIToken={user}!test={secret}")
        };
        let (root, jane) = (token("root@pam").await, token("jane@pve").await);
        Some(Self { node, root, jane })
    }

    /// Calls an operation below `agent`, with form parameters; returns the status, and data or
    /// message.
    async fn ask_as(
        &self,
        token: &str,
        (method, what): (&str, &str),
        params: &[(&str, &str)],
    ) -> (u16, Value) {
        let encoded = params.iter().map(|(name, value)| {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            format!("{name}={value}")
        });
        let form = encoded.collect::<Vec<_>>().join("&");
        let mut path = format!("/api2/json/nodes/pve1/qemu/{what}");
        let body = (method == "POST").then_some((FORM, form.as_str()));
        if body.is_none() && !form.is_empty() {
            path = format!("{path}?{form}");
        }
        let headers = [("Authorization", token.to_owned())];
        let response = request(self.node.port, method, &path, &headers, body).await;
        let answer = response.json();
        match response.status() {
            200 => (200, answer["data"].clone()),
            status => (status, answer["message"].clone()),
        }
    }

    async fn ask(&self, method: &str, what: &str, params: &[(&str, &str)]) -> (u16, Value) {
        let what = format!("100/agent{what}");
        self.ask_as(&self.root, (method, &what), params).await
    }

    async fn ok(&self, method: &str, what: &str, params: &[(&str, &str)]) -> Value {
        let (status, data) = self.ask(method, what, params).await;
        assert_eq!(status, 200, "{method} {what}: {data}");
        let name = row_of(method, what);
        let row = proto::table::row(&name).unwrap();
        let wrong = model::schema::check_shape(&row.returns, &data);
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        data
    }

    async fn result(&self, method: &str, what: &str) -> Value {
        self.ok(method, what, &[]).await["result"].clone()
    }

    async fn refused(&self, method: &str, what: &str, params: &[(&str, &str)]) -> String {
        let (status, message) = self.ask(method, what, params).await;
        assert_eq!(status, 500, "{message}");
        message.as_str().unwrap().trim_end().to_owned()
    }

    /// Runs a program in the guest to its end.
    async fn run(&self, words: &[&str], input: Option<&str>) -> Value {
        let mut params: Vec<(&str, &str)> = words.iter().map(|word| ("command", *word)).collect();
        params.extend(input.map(|input| ("input-data", input)));
        let pid = self.ok("POST", "/exec", &params).await["pid"].to_string();
        let mut status = Value::Null;
        until("the program has ended", async || {
            status = self.ok("GET", "/exec-status", &[("pid", &pid)]).await;
            status["exited"] == 1
        })
        .await;
        // Some agents report this for complete output, and some do not report it.
        for flag in ["out-truncated", "err-truncated"] {
            let flag = status.as_object_mut().unwrap().remove(flag);
            assert!(flag.is_none_or(|flag| flag == 0), "{words:?}");
        }
        status
    }

    /// Over the unix socket: a TLS handshake per poll would take the guest's CPU time.
    async fn until_it_answers(&self) {
        let guest = json!({"node": "pve1", "vmid": 100});
        until("the guest's agent answers", async || {
            self.node.call("agent_ping", guest.clone()).await.is_ok()
        })
        .await;
    }

    async fn task(&self, op: &str) -> (String, String) {
        let guest = json!({"node": "pve1", "vmid": 100});
        let upid = self.node.call(op, guest).await.unwrap().data;
        let status = self.node.ended(upid.as_str().unwrap()).await;
        let params = json!({"node": "pve1", "upid": upid});
        let log = self.node.call("task_log", params).await.unwrap().data;
        (status, log.to_string())
    }
}

/// The row for a path below `agent`.
fn row_of(method: &str, what: &str) -> String {
    match (method, what) {
        ("GET", "") => "agent_directory".to_owned(),
        (_, "") => "agent_command".to_owned(),
        (_, what) => format!("agent{}", what.replace(['/', '-'], "_")),
    }
}

/// A file with an ext4 file system, the only one in the guest that can be frozen.
fn ext4(path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    file.set_len(16 << 20).unwrap();
    let made = Command::new("/sbin/mkfs.ext4").arg("-q").arg(path).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn qemu_agent() {
    if left_out("qemu_agent") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new().await else {
            return;
        };
        before_the_guest_runs(&scene).await;
        assert_eq!(scene.task("qemu_start").await.0, "OK");
        scene.until_it_answers().await;
        what_it_knows(&scene).await;
        programs(&scene).await;
        passwords(&scene).await;
        commands(&scene).await;
        files(&scene).await;
        who_may(&scene).await;
        freezing(&scene).await;
        taking_turns(&scene).await;
        a_freezer_that_died(&scene).await;
        sleeps_and_wakes_up(&scene).await;
        ends_by_its_agent_and_without(&scene).await;
    });
}

async fn before_the_guest_runs(scene: &Scene) {
    let listed = scene.ok("GET", "", &[]).await;
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 25, "{names:?}");
    assert!(
        names.contains(&"exec") && names.contains(&"suspend-ram"),
        "{names:?}"
    );
    assert_eq!(
        scene.refused("POST", "/ping", &[]).await,
        "VM 100 is not running"
    );
    let (status, message) = scene
        .ask_as(&scene.root, ("POST", "101/agent/ping"), &[])
        .await;
    assert_eq!(
        (status, &message),
        (500, &json!("No QEMU guest agent configured\n"))
    );
    let (_, message) = scene
        .ask_as(&scene.root, ("GET", "103/agent/info"), &[])
        .await;
    let text = "Configuration file 'nodes/pve1/qemu-server/103.conf' does not exist\n";
    assert_eq!(message, text);
    let (status, _) = scene.ask("POST", "", &[("command", "format-disk")]).await;
    assert_eq!(status, 400);
    // A running guest with nothing to boot has no agent.
    let guest = json!({"node": "pve1", "vmid": 102});
    assert_eq!(scene.node.task("qemu_start", guest.clone()).await, "OK");
    let (_, message) = scene
        .ask_as(&scene.root, ("GET", "102/agent/info"), &[])
        .await;
    assert_eq!(message, "QEMU guest agent is not running\n");
    assert_eq!(scene.node.task("qemu_stop", guest).await, "OK");
}

/// Every command that only reads.
async fn what_it_knows(scene: &Scene) {
    assert_eq!(scene.result("POST", "/ping").await, json!({}));
    let info = scene.result("GET", "/info").await;
    let commands = info["supported_commands"].as_array().unwrap();
    assert!(
        commands
            .iter()
            .any(|c| c["name"] == "guest-exec" && c["enabled"] == true),
        "{info}"
    );
    assert_eq!(
        scene.result("GET", "/get-host-name").await["host-name"],
        "tiny"
    );
    assert_eq!(scene.result("GET", "/get-osinfo").await["id"], "tiny");
    let time = scene.result("GET", "/get-time").await;
    assert!(time.as_u64().unwrap() > 1_700_000_000_000_000_000, "{time}");
    let zone = scene.result("GET", "/get-timezone").await;
    assert!(zone["offset"].is_i64(), "{zone}");
    let processors = scene.result("GET", "/get-vcpus").await;
    assert_eq!(processors.as_array().unwrap().len(), 1, "{processors}");
    assert_eq!(scene.result("GET", "/get-users").await, json!([]));
    let cards = scene.result("GET", "/network-get-interfaces").await;
    let cards = cards.as_array().unwrap();
    let lo = cards.iter().find(|card| card["name"] == "lo").unwrap();
    assert_eq!(lo["ip-addresses"][0]["ip-address"], "127.0.0.1");
    let mac = json!("bc:24:11:00:00:07");
    assert!(
        cards.iter().any(|card| card["hardware-address"] == mac),
        "{cards:?}"
    );
    // Errors about what this guest's kernel or agent lacks are passed on unchanged.
    for what in [
        "/get-fsinfo",
        "/get-memory-blocks",
        "/get-memory-block-info",
    ] {
        let result = scene.result("GET", what).await;
        let refusal = result["error"]["desc"].as_str();
        assert!(
            result.is_array()
                || result["size"].is_u64()
                || refusal.is_some_and(|text| !text.is_empty()),
            "{what}: {result}"
        );
    }
    // The same commands as values of one parameter.
    let named = scene.ok("POST", "", &[("command", "get-host-name")]).await;
    assert_eq!(named["result"]["host-name"], "tiny");
}

async fn programs(scene: &Scene) {
    let status = scene.run(&["/bin/cat"], Some("grün\nund bunt\n")).await;
    assert_eq!(
        status,
        json!({"exited": 1, "exitcode": 0, "out-data": "grün\nund bunt\n"})
    );
    let status = scene
        .run(&["/bin/sh", "-c", "echo bad >&2; exit 3"], None)
        .await;
    assert_eq!(
        status,
        json!({"exited": 1, "exitcode": 3, "err-data": "bad\n"})
    );
    let status = scene.run(&["/bin/sh", "-c", "kill -9 $$"], None).await;
    assert_eq!(status, json!({"exited": 1, "signal": 9}));
    let error = scene
        .refused("POST", "/exec", &[("command", "/bin/nothing")])
        .await;
    assert!(error.starts_with("Agent error: "), "{error}");
    let error = scene
        .refused("GET", "/exec-status", &[("pid", "99999")])
        .await;
    assert!(error.starts_with("Agent error: "), "{error}");
    let (status, _) = scene.ask("POST", "/exec", &[("command", "")]).await;
    assert_eq!(status, 400);
}

/// The guest has no program that sets passwords, so it gets one that writes them to a file.
async fn passwords(scene: &Scene) {
    let user = [("username", "root"), ("password", "of-the-guest")];
    let error = scene.refused("POST", "/set-user-password", &user).await;
    assert!(error.starts_with("Agent error: cannot find"), "{error}");
    let program = "#!/bin/sh\nprintf '%s\\n' \"$*\" > /tmp/flags\ncat > /tmp/passwords\n";
    let file = [("file", "/sbin/chpasswd"), ("content", program)];
    scene.ok("POST", "/file-write", &file).await;
    scene
        .run(&["/bin/chmod", "755", "/sbin/chpasswd"], None)
        .await;
    let set = scene.ok("POST", "/set-user-password", &user).await;
    assert_eq!(set, json!({"result": {}}));
    let read = async |file: &str| scene.ok("GET", "/file-read", &[("file", file)]).await;
    assert_eq!(
        read("/tmp/passwords").await["content"],
        "root:of-the-guest\n"
    );
    assert_eq!(read("/tmp/flags").await["content"], "\n");
    let crypted = [
        ("username", "root"),
        ("password", "$6$x$y"),
        ("crypted", "1"),
    ];
    scene.ok("POST", "/set-user-password", &crypted).await;
    assert_eq!(read("/tmp/passwords").await["content"], "root:$6$x$y\n");
    assert_eq!(read("/tmp/flags").await["content"], "-e\n");
    let short = [("username", "root"), ("password", "1234")];
    assert_eq!(scene.ask("POST", "/set-user-password", &short).await.0, 400);
    assert!(!scene.node.log().contains("of-the-guest"));
}

/// The same on the command line.
async fn commands(scene: &Scene) {
    let run = |words: &[&str], input: &str| qm(&scene.node, words, input);
    assert_eq!(run(&["agent", "100", "ping"], "").1, "{}\n");
    let (code, out, err) = run(&["guest", "cmd", "100", "get-host-name"], "");
    assert_eq!(
        (code, out.as_str()),
        (0, "{\n   \"host-name\" : \"tiny\"\n}\n"),
        "{err}"
    );
    let words = [
        "guest",
        "exec",
        "100",
        "--pass-stdin",
        "--",
        "/bin/sed",
        "-e",
        "s/b/c/",
    ];
    let (code, out, err) = run(&words, "abba\n");
    let status: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!((code, &status["out-data"]), (0, &json!("acba\n")));
    assert!(
        out.contains("\n   \"exitcode\" : 0,\n   \"exited\" : 1,\n"),
        "{out}"
    );
    let slow = ["guest", "exec", "100", "--timeout", "1", "/bin/sleep", "60"];
    let (code, out, err) = run(&slow, "");
    assert_eq!(
        (code, err.as_str()),
        (0, "timeout reached, returning pid\n")
    );
    let pid: Value = serde_json::from_str(&out).unwrap();
    let pid = pid["pid"].to_string();
    let (_, out, _) = run(&["guest", "exec-status", "100", &pid], "");
    assert_eq!(out, "{\n   \"exited\" : 0\n}\n");
    scene.run(&["/bin/kill", &pid], None).await;
    let later = ["guest", "exec", "100", "--synchronous", "0", "/bin/true"];
    assert!(run(&later, "").1.starts_with("{\n   \"pid\" : "));
    let passwd = ["guest", "passwd", "100", "root"];
    let (code, out, err) = run(&passwd, "by-the-command\nby-the-command\n");
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let read = scene
        .ok("GET", "/file-read", &[("file", "/tmp/passwords")])
        .await;
    assert_eq!(read["content"], "root:by-the-command\n");
    let (code, _, err) = run(&passwd, "one-word\nanother-word\n");
    assert_eq!((code, err.as_str()), (255, "passwords do not match\n"));
    let (code, _, err) = run(&["guest", "cmd", "101", "ping"], "");
    assert_eq!(
        (code, err.as_str()),
        (255, "No QEMU guest agent configured\n")
    );
}

/// Runs `qm` with input: its exit code, standard output and standard error.
fn qm(node: &TestNode, words: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ostler"))
        .arg("qm")
        .args(words)
        .env("OSTLER_ROOT", &node.root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = child.stdin.take().unwrap();
    // A program that reads nothing may have ended before.
    let _ = keys.write_all(input.as_bytes());
    drop(keys);
    let said = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        said.status.code().unwrap(),
        text(&said.stdout),
        text(&said.stderr),
    )
}

async fn files(scene: &Scene) {
    let content = "für später\n".repeat(50);
    let file = ("file", "/tmp/note");
    let written = scene
        .ok("POST", "/file-write", &[file, ("content", &content)])
        .await;
    assert_eq!(written, Value::Null);
    assert_eq!(
        scene.ok("GET", "/file-read", &[file]).await,
        json!({"content": content})
    );
    let part = scene
        .ok(
            "GET",
            "/file-read",
            &[file, ("offset", "5"), ("count", "7")],
        )
        .await;
    assert_eq!(part, json!({"content": "später", "truncated": 1}));
    let bytes: Vec<u8> = (0..=255).collect();
    let encoded = STANDARD.encode(&bytes);
    let raw = [file, ("content", &encoded), ("encode", "0")];
    scene.ok("POST", "/file-write", &raw).await;
    let read = scene
        .ok("GET", "/file-read", &[file, ("decode", "0")])
        .await;
    assert_eq!(read, json!({"content": encoded}));
    let read = scene.ok("GET", "/file-read", &[file]).await;
    let characters: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(read, json!({"content": characters}));
    let wrong = [file, ("content", "~"), ("encode", "0")];
    assert_eq!(scene.ask("POST", "/file-write", &wrong).await.0, 400);
    let error = scene
        .refused("GET", "/file-read", &[("file", "/tmp/none")])
        .await;
    assert!(
        error.starts_with("Agent error: failed to open file"),
        "{error}"
    );
    // More than fits into one answer of the agent, or into one read.
    let fill = "head -c 3000000 /dev/zero | tr '\\0' x > /tmp/large";
    scene.run(&["/bin/sh", "-c", fill], None).await;
    let read = scene
        .ok("GET", "/file-read", &[("file", "/tmp/large")])
        .await;
    assert!(read == json!({"content": "x".repeat(3_000_000)}));
}

async fn who_may(scene: &Scene) {
    let ask = async |what: (&str, &str), params: &[(&str, &str)]| {
        scene.ask_as(&scene.jane, what, params).await
    };
    assert_eq!(ask(("GET", "100/agent/get-host-name"), &[]).await.0, 200);
    let file = [("file", "/etc/passwd")];
    assert_eq!(ask(("GET", "100/agent/file-read"), &file).await.0, 200);
    let (status, message) = ask(("POST", "100/agent/exec"), &[("command", "/bin/true")]).await;
    let text = "Permission check failed (/vms/100, VM.GuestAgent.Unrestricted)\n";
    assert_eq!((status, message), (403, json!(text)));
    for what in [
        "fsfreeze-freeze",
        "fstrim",
        "shutdown",
        "suspend-ram",
        "file-write",
    ] {
        let params = [("file", "/x"), ("content", "x")];
        let params: &[_] = if what == "file-write" { &params } else { &[] };
        let (status, _) = ask(("POST", &format!("100/agent/{what}")), params).await;
        assert_eq!(status, 403, "{what}");
    }
}

async fn freezing(scene: &Scene) {
    let mount = "mkdir -p /mnt && mount -t ext4 /dev/vdb /mnt";
    let mounted = scene.run(&["/bin/sh", "-c", mount], None).await;
    assert_eq!(mounted["exitcode"], 0, "{mounted}");
    assert_eq!(scene.result("POST", "/fsfreeze-status").await, "thawed");
    assert_eq!(scene.result("POST", "/fsfreeze-freeze").await, 1);
    assert_eq!(scene.result("POST", "/fsfreeze-status").await, "frozen");
    // While frozen, an agent refuses commands that could write.
    let error = scene.result("GET", "/get-host-name").await;
    assert!(
        error["error"]["desc"]
            .as_str()
            .unwrap()
            .contains("disabled"),
        "{error}"
    );
    assert_eq!(scene.result("POST", "/fsfreeze-thaw").await, 1);
    assert_eq!(scene.result("POST", "/fsfreeze-status").await, "thawed");
    // The disk need not support trimming; the command works either way.
    let trimmed = scene.result("POST", "/fstrim").await;
    assert!(
        trimmed["paths"].is_array() || trimmed["error"].is_object(),
        "{trimmed}"
    );
}

/// An agent has one caller at a time: each of many callers gets its own answer.
async fn taking_turns(scene: &Scene) {
    let asked = (0..12).map(|number| async move {
        let text = format!("caller {number}");
        let file = ("file", "/etc/passwd");
        match number % 3 {
            0 => assert_eq!(
                scene.result("GET", "/get-host-name").await["host-name"],
                "tiny"
            ),
            1 => {
                let read = scene.ok("GET", "/file-read", &[file]).await;
                assert!(read["content"].as_str().unwrap().starts_with("root:"));
            }
            _ => {
                let status = scene.run(&["/bin/cat"], Some(&text)).await;
                assert_eq!(status["out-data"], text.as_str());
            }
        }
    });
    futures_util::future::join_all(asked).await;
}

/// The mark of a freeze beside the guest's folder is left without its task, as after a crash: the
/// next agent thaws the guest.
async fn a_freezer_that_died(scene: &Scene) {
    let mark = scene.node.root.join("run/ostler/guests/100.frozen");
    assert_eq!(scene.result("POST", "/fsfreeze-freeze").await, 1);
    let agent = scene.node.role("node")[0];
    crate::harness::kill(agent);
    std::fs::write(&mark, b"").unwrap();
    until("the frozen guest is thawed", async || {
        let (status, data) = scene.ask("POST", "/fsfreeze-status", &[]).await;
        status == 200 && data["result"] == "thawed"
    })
    .await;
    until("the mark is gone", async || !mark.exists()).await;
}

/// It sleeps until it is resumed. A guest without a place to save its memory reports an error.
async fn sleeps_and_wakes_up(scene: &Scene) {
    assert_eq!(scene.result("POST", "/suspend-ram").await, Value::Null);
    let status = json!({"node": "pve1", "vmid": 100});
    let is = async |wanted: &str| {
        let answer = scene.node.call("qemu_status", status.clone()).await;
        answer.is_ok_and(|answer| answer.data["qmpstatus"] == wanted)
    };
    until("the guest sleeps", async || is("suspended").await).await;
    assert_eq!(scene.task("qemu_resume").await.0, "OK");
    until("the guest is awake", async || is("running").await).await;
    scene.until_it_answers().await;
    for what in ["/suspend-disk", "/suspend-hybrid"] {
        let refused = scene.result("POST", what).await;
        assert_eq!(refused["error"]["class"], "GenericError", "{refused}");
    }
}

/// A guest that ignores its power button is shut down by its agent, and one without an agent by its
/// power button.
async fn ends_by_its_agent_and_without(scene: &Scene) {
    scene.run(&["/bin/killall", "acpid"], None).await;
    let (status, log) = scene.task("qemu_reboot").await;
    assert_eq!(status, "OK", "{log}");
    assert!(!log.contains("power button"), "{log}");
    scene.until_it_answers().await;
    scene.run(&["/bin/killall", "acpid"], None).await;
    let (status, log) = scene.task("qemu_shutdown").await;
    assert!(
        status == "OK" && !log.contains("power button"),
        "{status} {log}"
    );

    assert_eq!(scene.task("qemu_start").await.0, "OK");
    scene.until_it_answers().await;
    scene
        .ask(
            "POST",
            "/exec",
            &[("command", "/bin/killall"), ("command", "qemu-ga")],
        )
        .await;
    until("the agent is gone", async || {
        scene.ask("POST", "/ping", &[]).await.1 == "QEMU guest agent is not running\n"
    })
    .await;
    let (status, log) = scene.task("qemu_shutdown").await;
    assert_eq!(status, "OK", "{log}");
    let line = "QEMU guest agent is not running; pressing the power button instead";
    assert!(log.contains(line), "{log}");
    // A shutdown by the agent command itself.
    assert_eq!(scene.task("qemu_start").await.0, "OK");
    scene.until_it_answers().await;
    assert_eq!(scene.result("POST", "/shutdown").await, Value::Null);
    until("the guest has ended", async || {
        scene.ask("POST", "/ping", &[]).await.1 == "VM 100 is not running\n"
    })
    .await;
}
