//! Shells of a node, with a websocket client that shows every frame.

use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use testkit::left_out::missing;

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::session::root_session;
use crate::harness::websocket::{BINARY, CLOSE, Websocket};
use crate::harness::{TestNode, left_out, until};

const NODE: &str = "/api2/json/nodes/pve1";

/// A node, a session of its root, and a user who may use its console.
struct Scene {
    node: TestNode,
    root: (String, String),
    jane: String,
}

type Headers = Vec<(&'static str, String)>;

impl Scene {
    async fn new() -> Self {
        let mut session = Default::default();
        let node = TestNode::start(async |store| session = root_session(store).await).await;
        let call = async |op: &str, params: Value| node.call(op, params).await.unwrap().data;
        call("user_create", json!({"userid": "jane@pve"})).await;
        let right = json!({"path": "/nodes", "roles": "PVESysAdmin", "users": "jane@pve"});
        call("acl_update", right).await;
        let token = json!({"userid": "jane@pve", "tokenid": "test", "privsep": 0});
        let made = call("token_create", token).await;
        let jane = format!(
            "PVEAPIToken=jane@pve!test={}",
            made["value"].as_str().unwrap()
        );
        let (ticket, csrf) = session;
        let ticket = utf8_percent_encode(&ticket, NON_ALPHANUMERIC);
        let root = (format!("PVEAuthCookie={ticket}"), csrf);
        Self { node, root, jane }
    }

    fn root(&self) -> Headers {
        let (cookie, csrf) = self.root.clone();
        vec![("Cookie", cookie), ("CSRFPreventionToken", csrf)]
    }

    fn jane(&self) -> Headers {
        vec![("Authorization", self.jane.clone())]
    }

    async fn ask(&self, who: &Headers, what: &str) -> (u16, Value) {
        let path = format!("{NODE}/{what}");
        let answer = request(self.node.port, "POST", &path, who, None).await;
        (answer.status(), answer.json())
    }

    /// Asks for a shell and opens it.
    async fn open(&self, who: &Headers, what: &str) -> (Value, Websocket) {
        let (status, answer) = self.ask(who, what).await;
        assert_eq!(status, 200, "{answer}");
        let shell = answer["data"].clone();
        let ticket = utf8_percent_encode(shell["ticket"].as_str().unwrap(), NON_ALPHANUMERIC);
        let port = shell["port"].as_str().unwrap();
        let path = format!("{NODE}/vncwebsocket?port={port}&vncticket={ticket}");
        let headers: Vec<(&str, &str)> = who.iter().map(|(name, text)| (*name, &**text)).collect();
        let opened = Websocket::open(self.node.port, &path, &headers).await;
        (shell, opened.unwrap().1)
    }

    /// Opens a shell in a terminal.
    async fn terminal(&self, who: &Headers) -> (Value, Websocket) {
        let (shell, mut terminal) = self.open(who, "termproxy").await;
        terminal.greet(&shell).await;
        assert_eq!(terminal.receive().await, (BINARY, b"OK".to_vec()));
        (shell, terminal)
    }

    async fn ended(&self, shell: &Value) -> String {
        self.node.ended(shell["upid"].as_str().unwrap()).await
    }
}

/// Whether a program with this argument runs.
fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|one| one == argument.as_bytes())
    })
}

#[test]
fn node_termproxy() {
    if left_out("node_termproxy") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let (shell, mut terminal) = scene.terminal(&scene.root()).await;
        assert_eq!(shell["user"], "root@pam");
        assert!(
            shell["upid"]
                .as_str()
                .unwrap()
                .contains(":vncshell::root@pam:")
        );
        terminal.send(BINARY, b"1:123:45:").await;
        terminal.type_line("echo $((6*7))-$(id -un)-$(tty)").await;
        terminal.expect("42-root-/dev/pts/").await;
        terminal.type_line("echo at-$PWD-$HOME").await;
        terminal.expect("at-/root-/root").await;
        terminal.type_line("stty size").await;
        terminal.expect("45 123").await;
        // What ignores the hang-up ends with its client as well.
        let argument = "31415926.5";
        terminal
            .type_line(&format!("setsid nohup sleep {argument} &"))
            .await;
        until("it runs", async || is_running(argument)).await;
        terminal.send(CLOSE, &1000_u16.to_be_bytes()).await;
        assert_eq!(scene.ended(&shell).await, "OK");
        assert!(!is_running(argument));

        // Logging out closes the console.
        let (shell, mut terminal) = scene.terminal(&scene.root()).await;
        terminal.type_line("exit").await;
        while terminal.receive().await.0 != CLOSE {}
        assert_eq!(scene.ended(&shell).await, "OK");

        // When the agent dies, nothing stays either.
        let (shell, mut terminal) = scene.terminal(&scene.root()).await;
        terminal
            .type_line(&format!("setsid nohup sleep {argument} &"))
            .await;
        until("it runs", async || is_running(argument)).await;
        scene.node.kill_role("node").await;
        assert_eq!(scene.ended(&shell).await, "OK");
        assert!(!is_running(argument));
    });
}

/// All but root are asked who they are, and their shell ends with their token.
#[test]
fn a_shell_of_others_begins_with_a_login_and_ends_with_the_token() {
    let test = "node_termproxy of others";
    if left_out(test) {
        return;
    }
    if !Path::new("/bin/login").exists() {
        return missing(test, "there is no /bin/login");
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let (shell, mut terminal) = scene.terminal(&scene.jane()).await;
        terminal.expect("login: ").await;
        terminal.type_line("nobody-of-this-name").await;
        terminal.expect("Password: ").await;
        let token = json!({"userid": "jane@pve", "tokenid": "test"});
        scene.node.call("token_delete", token).await.unwrap();
        while terminal.receive().await.0 != CLOSE {}
        assert_eq!(scene.ended(&shell).await, "OK");
    });
}

#[test]
fn node_vncshell() {
    if left_out("node_vncshell") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let (shell, mut screen) = scene.open(&scene.root(), "vncshell?websocket=1").await;
        assert_eq!(shell["password"].as_str().unwrap().len(), 8);
        assert!(shell["cert"].as_str().unwrap().starts_with("-----BEGIN"));
        screen.expect("RFB 003.008\n").await;
        screen.send(BINARY, b"RFB 003.008\n").await;
        assert_eq!(screen.receive().await, (BINARY, vec![1, 2]));
        drop(screen);
        assert_eq!(scene.ended(&shell).await, "OK");
    });
}

#[test]
fn a_shell_that_cannot_be_had_is_refused_with_the_reason() {
    if left_out("node_spiceshell") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let (status, answer) = scene.ask(&scene.root(), "spiceshell").await;
        assert_eq!(status, 500);
        let reason = "the shell of a node is not served by SPICE: use termproxy or vncshell\n";
        assert_eq!(answer["message"], reason);
        for cmd in ["upgrade", "ceph_install"] {
            let (status, answer) = scene
                .ask(&scene.root(), &format!("termproxy?cmd={cmd}"))
                .await;
            assert_eq!(status, 400);
            assert!(
                answer["errors"]["cmd"].as_str().unwrap().contains(cmd),
                "{answer}"
            );
        }
        let right =
            json!({"path": "/nodes", "roles": "PVESysAdmin", "users": "jane@pve", "delete": 1});
        scene.node.call("acl_update", right).await.unwrap();
        assert_eq!(scene.ask(&scene.jane(), "termproxy").await.0, 403);
    });
}
