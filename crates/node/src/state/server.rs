//! The etcd that runs on this node, in a scope of its own: it outlives the agent.

use std::path::PathBuf;

use model::{Error, NodeName};
use store::etcd::SERVER_FLAGS;
use sys::{Command, Limits, ScopeName, SharedHost, Stdio};

use super::authority::Certificates;
use super::pointer::Server;
use crate::Paths;

pub(super) const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

/// Its share of the processors against others: it waits for no guest.
const CPU_WEIGHT: u32 = 1000;

pub(super) struct EtcdServer {
    pub(super) host: SharedHost,
    pub(super) paths: Paths,
    pub(super) node: NodeName,
    pub(super) program: PathBuf,
    pub(super) user: Option<(u32, u32)>,
}

impl EtcdServer {
    fn scope() -> ScopeName {
        ScopeName::service("etcd")
    }

    fn user(&self) -> Result<(u32, u32), Error> {
        let text = "there is no user for etcd on this machine ('etcd-user' in ostler.toml)";
        self.user.ok_or_else(|| Error::unavailable(text))
    }

    /// Makes folders and certificates for a new member.
    pub(super) async fn prepare(&self, server: &Server) -> Result<(), Error> {
        let (uid, gid) = self.user()?;
        let (host, folder) = (&self.host, self.paths.etcd());
        let certificates = Certificates::of(&self.paths);
        let folders = [folder.clone(), folder.join("tls"), folder.join("data")];
        for folder in folders.iter().chain([&self.paths.tls()]) {
            host.create_dir(folder, 0o700).await?;
        }
        certificates.make(host, &server.address, (uid, gid)).await?;
        // Last, so that root writes nothing in a folder of another user.
        for folder in folders.iter().rev() {
            host.chown(folder, uid, gid).await?;
        }
        Ok(())
    }

    pub(super) async fn is_running(&self) -> Result<bool, Error> {
        Ok(!self.host.members(&Self::scope()).await?.is_empty())
    }

    /// Starts it, unless it runs.
    pub(super) async fn start(&self, server: &Server) -> Result<(), Error> {
        if self.is_running().await? {
            return Ok(());
        }
        let limits = Limits {
            cpu_weight: Some(CPU_WEIGHT),
            ..Limits::default()
        };
        self.host.create_scope(&Self::scope(), &limits).await?;
        let command = Command {
            args: self.arguments(server),
            user: Some(self.user()?),
            output: Stdio::File(self.paths.etcd_log()),
            timeout: None,
            ..Command::new(self.program.display().to_string())
        };
        self.host.spawn(command, &Self::scope()).await?;
        Ok(())
    }

    /// Ends it and deletes its data and certificates.
    pub(super) async fn discard(&self) -> Result<(), Error> {
        self.host.kill_scope(&Self::scope()).await?;
        self.host.remove_tree(&self.paths.etcd()).await?;
        Ok(())
    }

    fn arguments(&self, server: &Server) -> Vec<String> {
        let Certificates {
            authority,
            certificate,
            key,
            ..
        } = Certificates::of(&self.paths);
        let [authority, certificate, key] =
            [authority, certificate, key].map(|path| path.display().to_string());
        let (clients, peers) = (server.url(CLIENT_PORT), server.url(PEER_PORT));
        let mut arguments: Vec<String> = Vec::new();
        let mut give = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
        give("name", self.node.as_str());
        give(
            "data-dir",
            &self.paths.etcd().join("data").display().to_string(),
        );
        give("listen-client-urls", &clients);
        give("advertise-client-urls", &clients);
        give("listen-peer-urls", &peers);
        give("initial-advertise-peer-urls", &peers);
        give("initial-cluster", &format!("{}={peers}", self.node));
        give("initial-cluster-token", &server.token);
        for whom in ["", "peer-"] {
            give(&format!("{whom}client-cert-auth"), "true");
            give(&format!("{whom}trusted-ca-file"), &authority);
            give(&format!("{whom}cert-file"), &certificate);
            give(&format!("{whom}key-file"), &key);
        }
        give("log-level", "warn");
        arguments.extend(SERVER_FLAGS.map(str::to_owned));
        arguments
    }
}
