//! How a cluster of Ceph is reached: a file for its programs and for QEMU.
//!
//! ```text
//!   monhost, user, key ──► /run/ostler/ceph/<id>-<mark>.conf    only root may read it
//!                          /run/ostler/ceph/<id>-<mark>.secret  the key alone, for mount(8)
//! ```
//!
//! Without `monhost` it is the node's own cluster, as `/etc/ceph/ceph.conf` says.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::StorageId;
use sys::{Command, Output, SharedHost, SysError};
use tokio::sync::OnceCell;

use crate::StorageError;

/// In memory: a key is on no disk but the store's.
const FOLDER: &str = "/run/ostler/ceph";

const OWN: &str = "/etc/ceph/ceph.conf";

/// How long the monitors may take for a connection.
const CONNECT_S: u64 = 5;

/// The user where nothing is said. Source: Proxmox VE's default.
const USER: &str = "admin";

pub(crate) struct Cluster {
    storage: StorageId,
    monitors: Option<String>,
    user: String,
    /// A file of keys, or a key.
    secret: Option<String>,
    host: SharedHost,
    written: OnceCell<()>,
}

impl Cluster {
    pub(crate) fn new(
        storage: &StorageId,
        monitors: Option<String>,
        user: Option<String>,
        secret: Option<String>,
        host: SharedHost,
    ) -> Self {
        Self {
            storage: storage.clone(),
            monitors,
            user: user.unwrap_or_else(|| USER.to_owned()),
            secret,
            host,
            written: OnceCell::new(),
        }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Has a mark of what is in it: a change of the storage that is tried and refused leaves the file
    /// in force alone.
    pub(crate) fn conf(&self) -> PathBuf {
        self.file("conf")
    }

    /// The file with the key alone; none where the storage has none.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        self.secret.as_ref().map(|_| self.file("secret"))
    }

    fn file(&self, suffix: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        (&self.monitors, &self.user, &self.secret).hash(&mut hasher);
        let mark = hasher.finish();
        Path::new(FOLDER).join(format!("{}-{mark:016x}.{suffix}", self.storage))
    }

    /// Writes the file, unless this driver has written it already.
    pub(crate) async fn prepare(&self) -> Result<(), StorageError> {
        self.written
            .get_or_try_init(|| self.write())
            .await
            .map(drop)
    }

    /// Writes the file of `key_file`, too.
    pub(crate) async fn prepare_key(&self) -> Result<(), StorageError> {
        self.prepare().await?;
        let (Some(secret), Some(path)) = (&self.secret, self.key_file()) else {
            return Ok(());
        };
        let key = key_of(secret, &self.user).map_err(StorageError::Refused)?;
        let written = self.host.write(&path, key.as_bytes(), 0o600).await;
        written.map_err(|error| StorageError::of(&self.storage, error))
    }

    /// The monitors, each with a port where it has one; empty for the node's own cluster.
    pub(crate) fn monitors(&self) -> Vec<&str> {
        self.monitors
            .as_deref()
            .map(monitors_of)
            .unwrap_or_default()
    }

    async fn write(&self) -> Result<(), StorageError> {
        let content = match &self.monitors {
            Some(monitors) => external(monitors, self.secret.as_deref(), &self.user)?,
            None => self.own().await?,
        };
        let failed = |error: SysError| StorageError::of(&self.storage, error);
        let folder = Path::new(FOLDER);
        self.host.create_dir(folder, 0o700).await.map_err(failed)?;
        let (path, content) = (self.conf(), content.into_bytes());
        self.host
            .write(&path, &content, 0o600)
            .await
            .map_err(failed)
    }

    /// The node's own cluster, with the key of the storage where it has one.
    async fn own(&self) -> Result<String, StorageError> {
        let read = self.host.read(OWN.as_ref()).await;
        let read = read.map_err(|error| match error.is_not_found() {
            true => self.inactive(format!("it has no 'monhost', and there is no {OWN}")),
            false => StorageError::of(&self.storage, error),
        })?;
        let mut content = String::from_utf8_lossy(&read).into_owned();
        if let Some(secret) = &self.secret {
            let key = key_of(secret, &self.user).map_err(StorageError::Refused)?;
            content.push_str(&format!("\n[client]\nkey = {key}\n"));
        }
        Ok(content)
    }

    pub(crate) fn inactive(&self, reason: String) -> StorageError {
        StorageError::Inactive {
            storage: self.storage.clone(),
            reason,
        }
    }

    /// Runs one of Ceph's programs as the user of the storage.
    pub(crate) async fn run(
        &self,
        program: &str,
        args: &[&str],
        timeout: Option<Duration>,
    ) -> Result<Output, StorageError> {
        let conf = self.conf().display().to_string();
        let connect = format!("--client-mount-timeout={CONNECT_S}");
        let command = Command::new(program)
            .args(args.iter().copied())
            .args(["--conf", &conf, "--id", &self.user, &connect])
            .timeout(timeout);
        match self.host.run(command).await {
            Err(SysError::ProgramTimeout { .. }) => Err(StorageError::Silent(self.storage.clone())),
            Err(error) => Err(StorageError::of(&self.storage, error)),
            Ok(output) if is_unanswered(&output) => Err(self.unanswered(&output)),
            Ok(output) => Ok(output),
        }
    }

    /// Monitors that do not accept a key let its user wait.
    fn unanswered(&self, output: &Output) -> StorageError {
        let says = String::from_utf8_lossy(&output.stderr);
        match says.contains("handle_auth_bad_method") {
            true => self.inactive(format!("the cluster refuses user '{}'", self.user)),
            false => StorageError::Silent(self.storage.clone()),
        }
    }
}

/// Whether a program found no monitor that took it. The codes are those of errno.
fn is_unanswered(output: &Output) -> bool {
    const TIMED_OUT: i32 = 110;
    let says = String::from_utf8_lossy(&output.stderr);
    !output.success()
        && (output.code == Some(TIMED_OUT)
            || says.contains("couldn't connect to the cluster")
            || says.contains("error connecting to the cluster")
            || says.trim_end().ends_with("timed out"))
}

fn monitors_of(list: &str) -> Vec<&str> {
    let separates = |c: char| c == ',' || c == ';' || c.is_whitespace();
    let all = list.split(separates).filter(|one| !one.is_empty());
    all.collect()
}

/// A cluster that is found by its monitors alone. Without a key the cluster has to ask for none.
fn external(monitors: &str, secret: Option<&str>, user: &str) -> Result<String, StorageError> {
    let all = monitors_of(monitors);
    let access = match secret {
        Some(secret) => {
            let key = key_of(secret, user).map_err(StorageError::Refused)?;
            format!("key = {key}")
        }
        None => "auth_client_required = none".to_owned(),
    };
    Ok(format!(
        "[global]\nmon_host = {}\n{access}\n",
        all.join(",")
    ))
}

/// The key of a user in a file of keys as Ceph writes them, or a key by itself.
pub fn key_of(keyring: &str, user: &str) -> Result<String, String> {
    let is_key = |text: &str| {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        text.len() >= 20 && text.chars().all(is_good)
    };
    if is_key(keyring.trim()) {
        return Ok(keyring.trim().to_owned());
    }
    let wanted = format!("[client.{user}]");
    let mut section = String::new();
    for line in keyring.lines().map(str::trim) {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else if section == wanted
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == "key"
            && is_key(value.trim())
        {
            return Ok(value.trim().to_owned());
        }
    }
    Err(format!("the keyring has no key of '{wanted}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AQDt+wtrifWhAxAAgnUKmwhHqRJiSspmbo4d6Q==";

    #[test]
    fn a_key_is_that_of_the_user() {
        let keyring = format!(
            "[client.other]\n\tkey = AQB0000000000000000000000000000000000000==\n\
             [client.admin]\n\tkey = {KEY}\n\tcaps mon = \"allow *\"\n"
        );
        assert_eq!(key_of(&keyring, "admin").unwrap(), KEY);
        assert_eq!(key_of(&format!("{KEY}\n"), "admin").unwrap(), KEY);
        let none = key_of(&keyring, "none").unwrap_err();
        assert_eq!(none, "the keyring has no key of '[client.none]'");
        assert!(key_of("[client.admin]\nkey = x\nlog_file = /etc/x", "admin").is_err());
    }

    #[test]
    fn an_external_cluster_is_its_monitors_and_a_key() {
        let content = external("10.0.0.1;10.0.0.2 10.0.0.3:6789", Some(KEY), "admin").unwrap();
        let says = format!("[global]\nmon_host = 10.0.0.1,10.0.0.2,10.0.0.3:6789\nkey = {KEY}\n");
        assert_eq!(content, says);
        let content = external("10.0.0.1", None, "admin").unwrap();
        assert!(content.ends_with("auth_client_required = none\n"));
    }
}
