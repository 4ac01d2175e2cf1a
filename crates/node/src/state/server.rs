//! The etcd that runs on this node, in a scope of its own: it outlives the agent.

use std::path::PathBuf;
use std::sync::Arc;

use model::{Error, NodeName};
use rustls::ClientConfig;
use store::etcd::SERVER_FLAGS;
use sys::{Command, Limits, ScopeName, SharedHost, Stdio};

use super::StateOptions;
use super::certificates::{Certificates, ShownToEtcd};
use super::pointer::{Server, client_url};
use crate::Paths;
use crate::pki::{LOOPBACK, PairPaths};

/// Its share of the processors against others: it waits for no guest.
const CPU_WEIGHT: u32 = 1000;

pub(super) struct EtcdServer {
    pub(super) host: SharedHost,
    pub(super) paths: Paths,
    pub(super) node: NodeName,
    pub(super) program: PathBuf,
    pub(super) user: Option<(u32, u32)>,
    pub(super) shown: Arc<ShownToEtcd>,
}

impl EtcdServer {
    pub(super) fn of(options: &StateOptions) -> Self {
        Self {
            host: options.host.clone(),
            paths: options.paths.clone(),
            node: options.node.clone(),
            program: options.etcd.clone(),
            user: options.etcd_user,
            shown: Arc::default(),
        }
    }

    fn scope() -> ScopeName {
        ScopeName::service("etcd")
    }

    pub(super) fn user(&self) -> Result<(u32, u32), Error> {
        let text = "there is no user for etcd on this machine ('etcd-user' in ostler.toml)";
        self.user.ok_or_else(|| Error::unavailable(text))
    }

    pub(super) fn certificates(&self) -> Certificates {
        Certificates::of(&self.host, &self.paths)
    }

    /// How this node's agent opens etcd.
    pub(super) async fn client(&self) -> Result<Arc<ClientConfig>, Error> {
        self.certificates().client(self.shown.clone()).await
    }

    /// Has all its connections begin with the certificate of now; none may have been made.
    pub(super) async fn use_client_certificate(&self) -> Result<(), Error> {
        let at = PairPaths::etcd_client(&self.paths.tls());
        match at.exist(&self.host).await? {
            true => self.certificates().load_client(&self.shown).await,
            false => Ok(()),
        }
    }

    /// Makes folders and certificates for a new member.
    pub(super) async fn prepare(&self, server: &Server, revoked: &[String]) -> Result<(), Error> {
        let owner = self.user()?;
        self.host.create_dir(&self.paths.tls(), 0o700).await?;
        self.make_folders().await?;
        let certificates = self.certificates();
        certificates.ensure_client(&self.node).await?;
        certificates
            .make_server(&server.address, owner, revoked)
            .await
    }

    /// Only the data belong to etcd's user: root writes in no folder of another user.
    pub(super) async fn make_folders(&self) -> Result<(), Error> {
        let (uid, gid) = self.user()?;
        let (host, folder) = (&self.host, self.paths.etcd());
        for (name, mode) in [("", 0o711), ("tls", 0o711), ("data", 0o700)] {
            host.create_dir(&folder.join(name), mode).await?;
        }
        Ok(host.chown(&folder.join("data"), uid, gid).await?)
    }

    pub(super) async fn is_running(&self) -> Result<bool, Error> {
        Ok(!self.host.members(&Self::scope()).await?.is_empty())
    }

    /// Starts it, unless it runs.
    pub(super) async fn start(&self, server: &Server) -> Result<(), Error> {
        match self.is_running().await? {
            true => Ok(()),
            false => self.spawn(self.arguments(server)).await,
        }
    }

    /// Starts it as the only member, with what it has. It must not run.
    pub(super) async fn start_alone(&self, server: &Server) -> Result<(), Error> {
        let mut arguments = self.arguments(server);
        arguments.push("--force-new-cluster=true".to_owned());
        self.spawn(arguments).await
    }

    /// Starts it for this node's agent alone. It must not run. Returns where it serves.
    pub(super) async fn start_private(&self, server: &Server) -> Result<String, Error> {
        let private = client_url(LOOPBACK);
        let mut arguments = self.arguments(server);
        // Of a flag that is given twice the last one counts.
        arguments.push(format!("--listen-client-urls={private}"));
        self.spawn(arguments).await?;
        Ok(private)
    }

    pub(super) async fn stop(&self) -> Result<(), Error> {
        Ok(self.host.kill_scope(&Self::scope()).await?)
    }

    async fn spawn(&self, args: Vec<String>) -> Result<(), Error> {
        let limits = Limits {
            cpu_weight: Some(CPU_WEIGHT),
            ..Limits::default()
        };
        self.host.create_scope(&Self::scope(), &limits).await?;
        let command = Command {
            args,
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
        self.stop().await?;
        self.host.remove_tree(&self.paths.etcd()).await?;
        Ok(())
    }

    fn arguments(&self, server: &Server) -> Vec<String> {
        let Certificates {
            trusted,
            revoked,
            server: PairPaths { certificate, key },
            ..
        } = self.certificates();
        let [trusted, revoked, certificate, key] =
            [trusted, revoked, certificate, key].map(|path| path.display().to_string());
        let (clients, peers) = (server.client_url(), server.peer_url());
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
        match &server.existing {
            Some(members) => {
                give("initial-cluster", members);
                give("initial-cluster-state", "existing");
            }
            None => give("initial-cluster", &format!("{}={peers}", self.node)),
        }
        give("initial-cluster-token", &server.token);
        for whom in ["", "peer-"] {
            give(&format!("{whom}client-cert-auth"), "true");
            give(&format!("{whom}trusted-ca-file"), &trusted);
            give(&format!("{whom}cert-file"), &certificate);
            give(&format!("{whom}key-file"), &key);
        }
        for whom in ["client", "peer"] {
            give(&format!("{whom}-crl-file"), &revoked);
        }
        give("log-level", "warn");
        arguments.extend(SERVER_FLAGS.map(str::to_owned));
        arguments
    }
}
