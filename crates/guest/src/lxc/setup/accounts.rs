//! Root's account and what must be this container's own.

use std::io;

use super::marks::{Placed, write_part};
use super::{First, Tree, is_left_alone, read_text};

/// Files that say which machine it is: each container makes its own.
const IDENTITIES: [&str; 3] = [
    "/etc/machine-id",
    "/var/lib/dbus/machine-id",
    "/etc/ssl/private/ssl-cert-snakeoil.key",
];

/// What is left of an identity that makes systemd choose a new one.
const NO_IDENTITY: &[u8] = b"\n";

/// A copy is another machine than its original.
pub(super) fn of_copy(tree: &dyn Tree) -> io::Result<()> {
    let path = IDENTITIES[0];
    match tree.read(path)? {
        None => Ok(()),
        // It has not become any machine yet.
        Some(content) if content.starts_with(b"uninitialized") => Ok(()),
        Some(_) => tree.write(path, NO_IDENTITY, 0o444),
    }
}

pub(super) fn first(tree: &dyn Tree, first: &First) -> io::Result<()> {
    for path in IDENTITIES {
        tree.remove(path)?;
    }
    password(tree, first.password.as_deref().unwrap_or("*"))?;
    if first.keys.is_empty() {
        return Ok(());
    }
    let path = format!("{}/.ssh/authorized_keys", root_home(tree)?);
    write_part(tree, &path, &first.keys.join("\n"), Placed::After, 0o600)
}

/// Sets root's password in `shadow`, where there is one.
fn password(tree: &dyn Tree, hash: &str) -> io::Result<()> {
    let path = "/etc/shadow";
    let Some(before) =
        read_text(tree, path)?.filter(|_| !matches!(is_left_alone(tree, path), Ok(true)))
    else {
        return Ok(());
    };
    let replaced = |line: &str| match line.strip_prefix("root:") {
        Some(rest) => {
            let others = rest.split_once(':').map_or("", |(_, others)| others);
            format!("root:{hash}:{others}\n")
        }
        None => format!("{line}\n"),
    };
    let after: String = before.lines().map(replaced).collect();
    tree.write(path, after.as_bytes(), 0o640)
}

fn root_home(tree: &dyn Tree) -> io::Result<String> {
    let users = read_text(tree, "/etc/passwd")?.unwrap_or_default();
    let line = users.lines().find_map(|line| line.strip_prefix("root:"));
    let home = line.and_then(|line| line.split(':').nth(4));
    let home = home.filter(|home| home.starts_with('/') && home.len() > 1);
    Ok(home.unwrap_or("/root").to_owned())
}
