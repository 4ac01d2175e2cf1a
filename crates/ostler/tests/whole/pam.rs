//! A login of realm `pam` with the host's PAM, by a user that the test creates and removes.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out};
use serde_json::json;
use testkit::left_out::missing;

/// A user of this host, removed when this value is dropped.
struct ThrowAway {
    name: String,
    password: String,
}

fn run(program: &str, args: &[&str], input: &str) -> bool {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait().unwrap().success()
}

impl ThrowAway {
    /// None if users cannot be created.
    fn new() -> Option<Self> {
        let user = Self {
            name: format!("ostler-{}", std::process::id()),
            password: uuid::Uuid::new_v4().to_string(),
        };
        let shell = [
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            &user.name,
        ];
        let line = format!("{}:{}\n", user.name, user.password);
        (run("useradd", &shell, "") && run("chpasswd", &[], &line)).then_some(user)
    }
}

impl Drop for ThrowAway {
    fn drop(&mut self) {
        run("userdel", &[&self.name], "");
    }
}

// covers: S4.28
#[test]
fn a_user_of_the_machine_logs_in_with_the_machines_password() {
    if left_out("PAM login") {
        return;
    }
    with_bridge(async {
        let Some(user) = ThrowAway::new() else {
            missing("PAM login", "this machine cannot make a user");
            return;
        };
        let node = TestNode::start(async |_| {}).await;
        let id = format!("{}@pam", user.name);
        let login = async |password: &str| {
            let body = format!("username={id}&password={password}");
            request(
                node.port,
                "POST",
                "/api2/json/access/ticket",
                &[],
                Some(("application/x-www-form-urlencoded", &body)),
            )
            .await
        };
        // The user exists on the host, but not yet in Ostler.
        assert_eq!(login(&user.password).await.status(), 401);
        node.call("user_create", json!({"userid": id}))
            .await
            .unwrap();
        let session = login(&user.password).await;
        assert_eq!(session.status(), 200, "{}", session.status_line);
        assert_eq!(session.json()["data"]["username"], id);
        assert_eq!(login("wrong").await.status(), 401);
    });
}
