//! The files inside a container that the platform writes: names, addresses, terminals, the first
//! password.
//!
//! ```text
//!   Tree ── detect ──► ostype, arch
//!   Order ── apply ──► Tree     at its creation, and what may have changed at each start
//! ```
//!
//! A file with a `.pve-ignore.NAME` beside it is never touched. Of files that people edit too, only
//! the part between two marks is ours.

mod accounts;
mod detect;
mod interfaces;
mod marks;
mod names;
mod network;
mod networkd;
mod services;

#[cfg(test)]
mod tests;

use std::io;

use serde::{Deserialize, Serialize};

pub use detect::{Detected, detect};

/// The files of a container. Paths begin with `/`; links in them lead nowhere else than to files of
/// the container. Only regular files are read: another kind is an error.
pub trait Tree {
    /// None where there is no such file.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the content. A file that is there keeps its owner and mode. Makes missing folders.
    fn write(&self, path: &str, content: &[u8], mode: u32) -> io::Result<()>;

    /// Removes a file or link. False where there was none.
    fn remove(&self, path: &str) -> io::Result<bool>;

    /// Makes a symbolic link, in place of what is there.
    fn link(&self, target: &str, path: &str) -> io::Result<()>;

    /// What a link says; none where there is no link.
    fn read_link(&self, path: &str) -> io::Result<Option<String>>;

    /// Whether something is there, of whatever kind.
    fn exists(&self, path: &str) -> io::Result<bool>;

    /// The names in a folder; none where there is none.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
}

/// What is to be done in a container's files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// None: as it is detected.
    pub os_type: Option<String>,
    pub host_name: String,
    /// The options `net[n]`.
    pub nets: Vec<String>,
    pub name_servers: Vec<String>,
    pub search_domains: Vec<String>,
    pub time_zone: Option<String>,
    pub terminals: u8,
    /// For a container that was just made.
    pub first: Option<First>,
    /// For a copy of another container.
    #[serde(default)]
    pub is_copy: bool,
    /// For the files of an OCI image: a system that is not known is `unmanaged`.
    #[serde(default)]
    pub is_image: bool,
}

/// What a container gets when it is made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct First {
    /// Root's password in the form of crypt(5); none: no password opens the account.
    pub password: Option<String>,
    /// Lines of `authorized_keys`.
    pub keys: Vec<String>,
}

/// What became of an order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub os_type: String,
    pub arch: String,
    pub lines: Vec<String>,
    pub warnings: Vec<String>,
}

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("unable to detect OS distribution")]
    UnknownSystem,
    #[error("error in setup task {step}")]
    Step {
        step: &'static str,
        source: io::Error,
    },
}

/// A step of the setup, by its name in errors.
type Step = (&'static str, fn(&dyn Tree, &Order, &str) -> io::Result<()>);

/// What is done at each start.
const STEPS: [Step; 6] = [
    ("setup_init", services::terminals),
    ("setup_network", network::configure),
    ("set_hostname", names::host_name),
    ("set_hosts", names::hosts),
    ("set_dns", names::resolver),
    ("set_timezone", names::time_zone),
];

/// Detects what a container is and carries the order out.
pub fn apply(tree: &dyn Tree, order: &Order) -> Result<Outcome, SetupError> {
    let found = match detect(tree, order.os_type.as_deref()) {
        Err(SetupError::UnknownSystem) if order.is_image => detect(tree, Some("unmanaged")),
        found => found,
    };
    let found = found?;
    let mut outcome = Outcome {
        arch: found.arch,
        warnings: found.warnings,
        ..Outcome::default()
    };
    let family = order.os_type.clone().unwrap_or(found.os_type);
    if family != "unmanaged" {
        let step = |step: &'static str| move |source| SetupError::Step { step, source };
        if let Some(first) = &order.first {
            accounts::first(tree, first).map_err(step("post_create"))?;
        }
        if order.is_copy {
            accounts::of_copy(tree).map_err(step("clone"))?;
        }
        for (name, act) in STEPS {
            act(tree, order, &family).map_err(step(name))?;
        }
        outcome.warnings.extend(network::warnings(order, &family));
    }
    outcome.os_type = family;
    Ok(outcome)
}

/// Whether an administrator keeps us away from a file.
fn is_left_alone(tree: &dyn Tree, path: &str) -> io::Result<bool> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    tree.exists(&format!("{folder}/.pve-ignore.{name}"))
}

/// Reads a text; none where there is no file.
fn read_text(tree: &dyn Tree, path: &str) -> io::Result<Option<String>> {
    let content = tree.read(path)?;
    Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

/// Writes a text if it differs from what is there, and no administrator keeps us away.
fn write_text(tree: &dyn Tree, path: &str, text: &str, mode: u32) -> io::Result<()> {
    if is_left_alone(tree, path)? || tree.read(path)?.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    tree.write(path, text.as_bytes(), mode)
}
