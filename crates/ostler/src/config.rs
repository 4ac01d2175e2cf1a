//! `/etc/ostler/ostler.toml`: every key is optional (docs/configuration.md).

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use model::NodeName;
use node::{DEFAULT_GUEST_UIDS, GuestUids, Paths};
use serde::Deserialize;

/// The content of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    /// The node's name; by default the first label of the host name.
    node: Option<String>,
    /// The address that the API listens on.
    listen: Option<SocketAddr>,
    /// The address that the agent listens on for other members.
    agent_listen: Option<SocketAddr>,
    /// Where other members reach it: `HOST:PORT`.
    agent_address: Option<String>,
    /// Whether KVM works here; by default a probe decides.
    kvm: Option<bool>,
    /// Emulate guests that request KVM on a host without it.
    emulate: bool,
    /// The user of the API process.
    api_user: Option<String>,
    /// The user for programs that work for guests.
    guest_user: Option<String>,
    /// The uids of guests, `FIRST-LAST`.
    guest_uids: Option<String>,
    /// The pause before `ostler run` restarts a role that died.
    restart_pause_ms: Option<u64>,
    /// The program `etcd`.
    etcd: Option<PathBuf>,
    /// The user of etcd.
    etcd_user: Option<String>,
}

impl File {
    /// Errors are one line, with the number of the wrong line.
    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text[..start].matches('\n').count() + 1;
            anyhow!("line {line}: {}", error.message().replace('\n', " "))
        })
    }
}

/// The configuration of a node, complete.
pub(crate) struct Config {
    pub(crate) node: NodeName,
    pub(crate) listen: SocketAddr,
    /// Where the agent listens for other members; none: the default, once there are any.
    pub(crate) agent_listen: Option<SocketAddr>,
    /// Where other members reach it; none: the host's first address.
    pub(crate) agent_address: Option<String>,
    pub(crate) kvm: Option<bool>,
    pub(crate) emulate: bool,
    pub(crate) paths: Paths,
    /// uid and gid of the API process.
    pub(crate) api_user: (u32, u32),
    pub(crate) guest_user: Option<(u32, u32)>,
    pub(crate) guest_uids: GuestUids,
    pub(crate) restart_pause: Duration,
    pub(crate) etcd: PathBuf,
    /// uid and gid; none: there is no such user, and no etcd can run here.
    pub(crate) etcd_user: Option<(u32, u32)>,
    /// The name above all scopes of this node.
    pub(crate) scope_root: String,
}

const DEFAULT_LISTEN: &str = "[::]:8006";
/// The port of agents, on all addresses.
const AGENT_PORT: u16 = 8009;
const DEFAULT_API_USER: &str = "ostler";
const DEFAULT_GUEST_USER: &str = "ostler-guest";
const DEFAULT_RESTART_PAUSE_MS: u64 = 1000;
const DEFAULT_ETCD_USER: &str = "ostler-etcd";
/// Where the package and `./x up` install etcd; without them it is searched for in `PATH`.
const ETCD_PATHS: [&str; 2] = ["/usr/lib/ostler/etcd", "/usr/local/lib/ostler/etcd"];

impl Config {
    pub(crate) fn load() -> Result<Self> {
        let root =
            std::env::var_os("OSTLER_ROOT").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let paths = Paths::below(&root);
        let path = paths.config();
        let file: File = match std::fs::read_to_string(&path) {
            Ok(text) => {
                File::parse(&text).with_context(|| format!("reading {}", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(error) => return Err(error).context(format!("reading {}", path.display())),
        };
        let node = match file.node {
            Some(node) => node,
            None => host_name()?,
        };
        let api_user = file.api_user.as_deref().unwrap_or(DEFAULT_API_USER);
        let guest_user = file.guest_user.as_deref().unwrap_or(DEFAULT_GUEST_USER);
        let guest_uids = match &file.guest_uids {
            Some(text) => text.parse().map_err(|why| anyhow!("guest-uids: {why}"))?,
            None => DEFAULT_GUEST_UIDS,
        };
        let etcd_user = file.etcd_user.as_deref().unwrap_or(DEFAULT_ETCD_USER);
        let installed = ETCD_PATHS.iter().map(PathBuf::from);
        let installed = installed.into_iter().find(|path| path.exists());
        Ok(Self {
            etcd: file.etcd.or(installed).unwrap_or_else(|| "etcd".into()),
            etcd_user: sys::lookup_user(etcd_user),
            node: NodeName::new(node)?,
            listen: match file.listen {
                Some(listen) => listen,
                None => DEFAULT_LISTEN.parse().context("the default address")?,
            },
            agent_listen: file.agent_listen,
            agent_address: file.agent_address.map(checked_address).transpose()?,
            kvm: file.kvm,
            emulate: file.emulate,
            scope_root: scope_root(&root),
            api_user: user(api_user)?,
            guest_user: Some(user(guest_user)?),
            guest_uids,
            restart_pause: Duration::from_millis(
                file.restart_pause_ms.unwrap_or(DEFAULT_RESTART_PAUSE_MS),
            ),
            paths,
        })
    }

    /// Where the agent listens for other members.
    pub(crate) fn agent_listen(&self) -> SocketAddr {
        let default = (Ipv6Addr::UNSPECIFIED, AGENT_PORT).into();
        self.agent_listen.unwrap_or(default)
    }
}

/// Refuses what is not `HOST:PORT`.
fn checked_address(address: String) -> Result<String> {
    let is_sound = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0));
    match is_sound {
        true => Ok(address),
        false => Err(anyhow!("agent-address: '{address}' is not HOST:PORT")),
    }
}

fn user(name: &str) -> Result<(u32, u32)> {
    sys::lookup_user(name).with_context(|| format!("there is no user '{name}' on this machine"))
}

fn host_name() -> Result<String> {
    let name = rustix::system::uname();
    let name = name
        .nodename()
        .to_str()
        .context("the host name is not UTF-8")?;
    Ok(name.split('.').next().unwrap_or(name).to_owned())
}

/// Two nodes on one host must not share scopes, so the name depends on the root folder.
fn scope_root(root: &std::path::Path) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let suffix: String = root.display().to_string().chars().map(plain).collect();
    format!("ostler{}", suffix.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = File::parse("emulate = true\nbogus = 1\n").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("line 2: unknown field `bogus`"), "{text}");
        let error = File::parse("kvm = 3").unwrap_err().to_string();
        assert!(error.starts_with("line 1: invalid type"), "{error}");
        let file = File::parse("guest-uids = \"200000-299999\"").unwrap();
        assert_eq!(file.guest_uids.as_deref(), Some("200000-299999"));
    }

    #[test]
    fn an_address_of_the_agent_is_a_host_and_a_port() {
        for address in ["10.0.0.1:8009", "[fd00::1]:8009", "n1.example:1"] {
            assert_eq!(checked_address(address.to_owned()).unwrap(), address);
        }
        for address in ["10.0.0.1", ":8009", "n1:0", "n1:65536", "n1:"] {
            let error = checked_address(address.to_owned()).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("agent-address: '{address}' is not HOST:PORT")
            );
        }
    }
}
