//! Consoles of a real guest, with a websocket client that shows every frame.

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::websocket::{BINARY, CLOSE, PING, PONG, Websocket};
use crate::harness::{Serial, TestNode, left_out, tiny_disk, until};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const GUEST: &str = "/api2/json/nodes/pve1/qemu/100";

/// A running tiny guest, and tokens of root and of a user who may use its console.
pub(crate) struct Scene {
    pub(crate) node: TestNode,
    pub(crate) root: String,
    jane: String,
}

impl Scene {
    pub(crate) async fn new() -> Option<Self> {
        let disk = tiny_disk()?;
        let node = TestNode::with_tiny(&disk).await;
        let call = async |op: &str, params: Value| node.call(op, params).await.unwrap().data;
        call("user_create", json!({"userid": "jane@pve"})).await;
        let acl = json!({"path": "/vms/100", "roles": "PVEVMUser", "users": "jane@pve"});
        call("acl_update", acl).await;
        let token = async |user: &str| {
            let params = json!({"userid": user, "tokenid": "test", "privsep": 0});
            let made = call("token_create", params).await;
            format!(
                "PVEAPIToken={user}!test={}",
                made["value"].as_str().unwrap()
            )
        };
        let (root, jane) = (token("root@pam").await, token("jane@pve").await);
        Some(Self { node, root, jane })
    }

    pub(crate) async fn start(&self) {
        let guest = json!({"node": "pve1", "vmid": 100});
        assert_eq!(self.node.task("qemu_start", guest).await, "OK");
    }

    /// Requests a console; returns the status and the data or message.
    pub(crate) async fn ask(&self, token: &str, what: &str) -> (u16, Value) {
        let headers = [("Authorization", token.to_owned())];
        let path = format!("{GUEST}/{what}");
        let response = request(self.node.port, "POST", &path, &headers, None).await;
        let body = response.json();
        let key = if response.status() == 200 {
            "data"
        } else {
            "message"
        };
        (response.status(), body[key].clone())
    }

    pub(crate) async fn console(&self, token: &str, what: &str) -> Value {
        let (status, data) = self.ask(token, what).await;
        assert_eq!(status, 200, "{data}");
        data
    }

    /// Opens the websocket of a console; the status if that is refused.
    pub(crate) async fn open(&self, token: &str, console: &Value) -> Result<Websocket, String> {
        let (port, ticket) = (&console["port"], &console["ticket"]);
        self.open_at(token, port.as_str().unwrap(), ticket.as_str().unwrap())
            .await
    }

    async fn open_at(&self, token: &str, port: &str, ticket: &str) -> Result<Websocket, String> {
        let ticket = utf8_percent_encode(ticket, NON_ALPHANUMERIC);
        let path = format!("{GUEST}/vncwebsocket?port={port}&vncticket={ticket}");
        let headers = [
            ("Authorization", token),
            ("Sec-WebSocket-Protocol", "binary"),
        ];
        let (head, websocket) = Websocket::open(self.node.port, &path, &headers).await?;
        let lower = head.to_ascii_lowercase();
        assert!(
            lower.contains("sec-websocket-protocol: binary\r\n"),
            "{head}"
        );
        Ok(websocket)
    }

    pub(crate) async fn ended(&self, console: &Value) -> String {
        self.node.ended(console["upid"].as_str().unwrap()).await
    }
}

impl Websocket {
    /// Authenticates, like the terminal of the web interface.
    pub(crate) async fn greet(&mut self, console: &Value) {
        let (user, ticket) = (&console["user"], &console["ticket"]);
        let line = format!("{}:{}\n", user.as_str().unwrap(), ticket.as_str().unwrap());
        self.send(BINARY, line.as_bytes()).await;
    }

    pub(crate) async fn type_line(&mut self, line: &str) {
        let message = format!("0:{}:{line}\n", line.len() + 1);
        self.send(BINARY, message.as_bytes()).await;
    }
}

#[test]
fn qemu_termproxy() {
    if left_out("qemu_termproxy") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new().await else {
            return;
        };
        let (status, message) = scene.ask(&scene.root, "termproxy").await;
        assert_eq!((status, message), (500, json!("VM 100 is not running\n")));
        scene.start().await;
        let console = scene.console(&scene.root, "termproxy").await;
        assert_eq!(console["user"], "root@pam!test");
        assert!(console["upid"].as_str().unwrap().contains(":vncproxy:100:"));
        let waiting = scene.console(&scene.jane, "termproxy").await;
        let mut terminal = scene.open(&scene.root, &console).await.unwrap();
        terminal.greet(&console).await;
        assert_eq!(terminal.receive().await, (BINARY, b"OK".to_vec()));
        terminal.expect("tiny: ready").await;
        terminal.send(BINARY, b"1:120:40:").await;
        terminal.send(BINARY, b"2").await;
        terminal.type_line("echo $((6*7))").await;
        terminal.expect("42").await;
        terminal.send(PING, b"there?").await;
        loop {
            match terminal.receive().await {
                (PONG, payload) => break assert_eq!(payload, b"there?"),
                other => assert_eq!(other.0, BINARY),
            }
        }

        // The port takes one client; a second one is refused at every stage.
        let taken = "serial0 of VM 100 is in use by another console";
        let (status, message) = scene.ask(&scene.root, "termproxy").await;
        assert_eq!((status, message), (500, json!(format!("{taken}\n"))));
        let second = scene.open(&scene.jane, &waiting).await.err().unwrap();
        assert_eq!(second, format!("HTTP/1.1 500 {taken}"));

        // Closed by the client, it is free for the next one, and the task ends.
        terminal.send(CLOSE, &1000_u16.to_be_bytes()).await;
        assert_eq!(scene.ended(&console).await, "OK");
        let used = scene.open(&scene.root, &console).await.err().unwrap();
        assert!(used.contains("no console of VM 100 is waiting"), "{used}");
        until("the port is free", async || {
            scene.ask(&scene.root, "termproxy").await.0 == 200
        })
        .await;

        others_are_noticed(&scene).await;
        it_can_be_closed_from_here(&scene).await;
    });
}

/// A client that connected directly also occupies the port.
async fn others_are_noticed(scene: &Scene) {
    let taken = "serial0 of VM 100 is in use by another console";
    let other = Serial::connect(&scene.node.root.join("run/ostler/guests/100/serial0.sock"));
    until("the port is taken", async || {
        scene.ask(&scene.root, "termproxy").await.1 == format!("{taken}\n")
    })
    .await;
    drop(other);
    until("the port is free", async || {
        scene.ask(&scene.root, "termproxy").await.0 == 200
    })
    .await;
}

/// Stopping the task closes the console; so does the end of the guest.
async fn it_can_be_closed_from_here(scene: &Scene) {
    for by_task in [true, false] {
        let console = scene.console(&scene.jane, "termproxy").await;
        let mut terminal = scene.open(&scene.jane, &console).await.unwrap();
        terminal.greet(&console).await;
        assert_eq!(terminal.receive().await, (BINARY, b"OK".to_vec()));
        let stop = json!({"node": "pve1", "upid": console["upid"]});
        if by_task {
            scene.node.call("task_stop", stop).await.unwrap();
        } else {
            let guest = json!({"node": "pve1", "vmid": 100});
            assert_eq!(scene.node.task("qemu_stop", guest).await, "OK");
        }
        while terminal.receive().await.0 != CLOSE {}
        let expected = if by_task { "received interrupt" } else { "OK" };
        assert_eq!(scene.ended(&console).await, expected);
    }
}

#[test]
fn qemu_vncproxy_and_qemu_vncwebsocket() {
    if left_out("qemu_vncproxy") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new().await else {
            return;
        };
        scene.start().await;
        let plain = scene.console(&scene.root, "vncproxy").await;
        assert!(plain.get("password").is_none());
        assert!(
            plain["cert"]
                .as_str()
                .unwrap()
                .starts_with("-----BEGIN CERT")
        );
        let console = scene
            .console(&scene.jane, "vncproxy?generate-password=1&websocket=1")
            .await;
        let (ticket, password) = (&console["ticket"], &console["password"]);
        let (ticket, password) = (ticket.as_str().unwrap(), password.as_str().unwrap());
        assert_eq!(password.len(), 8);
        assert!(
            ticket.starts_with(&format!("{password}:PVEVNC:")),
            "{ticket}"
        );

        // Everything must match: the ticket, the port, the user.
        let port = console["port"].as_str().unwrap();
        let other_port = plain["port"].as_str().unwrap();
        let forged = ticket.replace("PVEVNC:", "PVEVNC:0");
        for (token, port, ticket) in [
            (&scene.jane, port, forged.as_str()),
            (&scene.jane, port, plain["ticket"].as_str().unwrap()),
            (&scene.jane, other_port, ticket),
            (&scene.root, port, ticket),
        ] {
            let refused = scene.open_at(token, port, ticket).await.err().unwrap();
            assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
        }
        let no_port = scene
            .open_at(&scene.jane, "22", ticket)
            .await
            .err()
            .unwrap();
        assert!(no_port.starts_with("HTTP/1.1 400 "), "{no_port}");

        // The ticket is valid with and without the password before it.
        let bare = &ticket[9..];
        let mut screen = scene.open_at(&scene.jane, port, bare).await.unwrap();
        screen.expect("RFB 003.008\n").await;
        screen.send(BINARY, b"RFB 003.008\n").await;
        // One security type is offered: VNC authentication.
        assert_eq!(screen.receive().await, (BINARY, vec![1, 2]));
        let again = scene.open_at(&scene.jane, port, bare).await.err().unwrap();
        assert!(again.starts_with("HTTP/1.1 500 no console"), "{again}");
        drop(screen);
        assert_eq!(scene.ended(&console).await, "OK");

        // A console that is not opened expires, and cannot be opened afterwards.
        assert_eq!(scene.ended(&plain).await, "OK");
        let late = scene.open(&scene.root, &plain).await.err().unwrap();
        assert!(late.starts_with("HTTP/1.1 401 "), "{late}");
    });
}

#[test]
fn a_terminal_that_says_something_else_is_shown_nothing() {
    if left_out("qemu_termproxy refused") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new().await else {
            return;
        };
        scene.start().await;
        let console = scene.console(&scene.root, "termproxy").await;
        let mut terminal = scene.open(&scene.root, &console).await.unwrap();
        terminal.send(BINARY, b"root@pam!test:PVEVNC:wrong\n").await;
        let (opcode, payload) = terminal.receive().await;
        assert_eq!(opcode, CLOSE, "{}", String::from_utf8_lossy(&payload));
        assert_eq!(scene.ended(&console).await, "OK");

        // When either process dies, the port is free again.
        for role in ["api", "node"] {
            let mut console = Value::Null;
            until("the port is free", async || {
                let (status, data) = scene.ask(&scene.root, "termproxy").await;
                console = data;
                status == 200
            })
            .await;
            let mut terminal = scene.open(&scene.root, &console).await.unwrap();
            terminal.greet(&console).await;
            assert_eq!(terminal.receive().await, (BINARY, b"OK".to_vec()));
            scene.node.kill_role(role).await;
            assert_eq!(scene.ended(&console).await, "OK");
        }
    });
}

/// Opens a display as jane and reads until the first message.
async fn display(scene: &Scene) -> Websocket {
    let console = scene.console(&scene.jane, "vncproxy").await;
    let mut opened = scene.open(&scene.jane, &console).await.unwrap();
    opened.expect("RFB 003.").await;
    opened
}

/// Reads a console that is being closed to its end.
async fn closed(mut console: Websocket) {
    loop {
        if console.receive().await.0 == CLOSE {
            return;
        }
    }
}

/// An open console ends when its user loses the token, the account or the right.
#[test]
fn an_open_console_ends_with_what_it_was_opened_with() {
    if left_out("qemu_console") {
        return;
    }
    with_bridge(async {
        let Some(mut scene) = Scene::new().await else {
            return;
        };
        scene.start().await;
        let roots = scene.console(&scene.root, "vncproxy").await;
        let mut roots = scene.open(&scene.root, &roots).await.unwrap();
        roots.expect("RFB 003.").await;
        let acl = |delete: u8| json!({"path": "/vms/100", "roles": "PVEVMUser", "users": "jane@pve", "delete": delete});
        let enable = |enable: u8| json!({"userid": "jane@pve", "enable": enable});
        let token = json!({"userid": "jane@pve", "tokenid": "test"});
        for (op, taken, given) in [
            ("acl_update", acl(1), acl(0)),
            ("user_update", enable(0), enable(1)),
        ] {
            let console = display(&scene).await;
            scene.node.call(op, taken).await.unwrap();
            closed(console).await;
            scene.node.call(op, given).await.unwrap();
        }
        let console = display(&scene).await;
        scene
            .node
            .call("token_delete", token.clone())
            .await
            .unwrap();
        closed(console).await;
        let mut create = token;
        create["privsep"] = 0.into();
        let made = scene.node.call("token_create", create).await.unwrap().data;
        scene.jane = format!(
            "PVEAPIToken=jane@pve!test={}",
            made["value"].as_str().unwrap()
        );
        let console = display(&scene).await;
        // A change that does not affect her leaves it open, as root's stayed open all along.
        let other = json!({"userid": "bob@pve"});
        scene.node.call("user_create", other).await.unwrap();
        for mut open in [console, roots] {
            open.send(PING, b"there").await;
            let (opcode, payload) = open.receive().await;
            assert_eq!((opcode, &payload[..]), (PONG, &b"there"[..]));
        }
    });
}
