//! A real client that nobody here wrote: proxmoxer, unmodified, against a real node.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail where it stands"
)]

mod harness;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::{TestNode, left_out, tiny_disk};
use serde_json::json;

/// What the session imports; versions are pinned so that a test of today is one of tomorrow.
const PACKAGES: [&str; 5] = [
    "proxmoxer==2.3.0",
    "requests==2.34.2",
    "requests_toolbelt==1.0.0",
    "pyotp==2.12.0",
    "websocket-client==1.9.0",
];

#[expect(clippy::disallowed_methods, reason = "a test runs a client")]
fn run(program: &Path, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap()
}

/// A python with the client, kept in the cache; none where it cannot be had.
fn python() -> Option<PathBuf> {
    let cache = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    let venv = PathBuf::from(cache).join("proxmoxer-2.3.0");
    let python = venv.join("bin/python");
    let works = python.exists()
        && run(&python, &["-c", "import proxmoxer, pyotp, websocket"])
            .status
            .success();
    if works {
        return Some(python);
    }
    let folder = venv.display().to_string();
    let made = run(Path::new("python3"), &["-m", "venv", "--clear", &folder]);
    let mut args = vec!["-m", "pip", "install", "--quiet"];
    args.extend(PACKAGES);
    if made.status.success() && run(&python, &args).status.success() {
        return Some(python);
    }
    println!(
        "left out: proxmoxer cannot be installed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn proxmoxer_does_what_it_does_with_proxmox_ve() {
    if left_out("proxmoxer") {
        return;
    }
    let Some(python) = python() else { return };
    let Some(disk) = tiny_disk() else { return };
    let node = TestNode::start(async |_| {}).await;
    let user = json!({"userid": "admin@pve", "password": "of-the-admin"});
    node.call("user_create", user).await.unwrap();
    let rights = json!({"path": "/", "users": "admin@pve", "roles": "Administrator"});
    node.call("acl_update", rights).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/proxmoxer_session.py");
    let port = node.port.to_string();
    let script = script.display().to_string();
    let args = [
        "-W",
        "ignore",
        &script,
        &port,
        "admin@pve",
        "of-the-admin",
        "pve1",
        &disk.display().to_string(),
    ]
    .map(str::to_owned);
    let session = tokio::task::spawn_blocking(move || {
        run(
            &python,
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    });
    let session = session.await.unwrap();
    let said = String::from_utf8_lossy(&session.stdout).into_owned();
    assert!(
        session.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&session.stderr)
    );
    print!("{said}");
    // Nothing of all the machines is left on the host.
    assert_eq!(
        std::fs::read_dir(node.root.join("run/ostler/guests"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(
        std::fs::read_dir(node.root.join("var/lib/vz/images"))
            .unwrap()
            .count(),
        0
    );
}
