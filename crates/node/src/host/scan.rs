//! What servers offer that could be a storage: exports of NFS, shares of SMB, targets of iSCSI.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Error;
use sys::{Command, SharedHost, SysError};

/// How long a server may take. Source: Proxmox VE's time-out.
const ASK: Duration = Duration::from_secs(10);

/// An export of NFS.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    pub path: String,
    /// Who may mount it.
    pub options: String,
}

/// A share of SMB.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    pub name: String,
    pub description: String,
}

/// A target of iSCSI, with its portals.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub name: String,
    pub portals: Vec<String>,
}

pub async fn exports(host: &SharedHost, server: &str) -> Result<Vec<Export>, Error> {
    let args = ["--no-headers", "--exports", server];
    let command = Command::new("showmount").args(args).timeout(Some(ASK));
    let printed = host
        .run(command)
        .await
        .and_then(|output| output.checked("showmount"))?;
    let text = String::from_utf8_lossy(&printed);
    let lines = text
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace));
    let exports = lines.map(|(path, options)| Export {
        path: path.to_owned(),
        options: options.trim().to_owned(),
    });
    Ok(exports.collect())
}

/// Who asks an SMB server.
#[derive(Default)]
pub struct SmbUser {
    pub name: Option<String>,
    pub password: Option<String>,
    pub domain: Option<String>,
}

/// The shares of folders. A server that shows none to this user is no error.
pub async fn shares(host: &SharedHost, server: &str, user: SmbUser) -> Result<Vec<Share>, Error> {
    let mut command = Command::new("smbclient").args(["-d", "0", "-g", "-L", server]);
    command.timeout = Some(ASK);
    match (user.name, user.password) {
        (Some(name), Some(password)) => {
            command = command.args(["-U", &name]);
            command.env.push(("PASSWD_FD".to_owned(), "0".to_owned()));
            command.input = password.into_bytes();
        }
        (Some(name), None) => command = command.args(["-U", &name, "-N"]),
        (None, _) => command = command.arg("-N"),
    }
    if let Some(domain) = user.domain {
        command = command.args(["-W", &domain]);
    }
    let printed = match host
        .run(command)
        .await
        .and_then(|output| output.checked("smbclient"))
    {
        Err(SysError::ProgramFailed { .. }) => return Ok(Vec::new()),
        printed => printed?,
    };
    Ok(parse_shares(&String::from_utf8_lossy(&printed)))
}

/// Reads `Disk|share|comment`. What ends with `$` is for administrators.
fn parse_shares(printed: &str) -> Vec<Share> {
    let mut shares = Vec::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.splitn(3, '|').collect();
        if let ["Disk", name, description] = fields[..]
            && !name.ends_with('$')
        {
            shares.push(Share {
                name: name.to_owned(),
                description: description.trim().to_owned(),
            });
        }
    }
    shares
}

/// The targets behind a portal. One that does not answer is no error.
pub async fn targets(host: &SharedHost, portal: &str) -> Result<Vec<Target>, Error> {
    let args = [
        "--mode",
        "discovery",
        "--type",
        "sendtargets",
        "--portal",
        portal,
    ];
    let command = Command::new("iscsiadm").args(args).timeout(Some(ASK));
    let printed = match host
        .run(command)
        .await
        .and_then(|output| output.checked("iscsiadm"))
    {
        Err(SysError::ProgramFailed { .. }) => return Ok(Vec::new()),
        printed => printed?,
    };
    Ok(parse_targets(&String::from_utf8_lossy(&printed)))
}

/// Reads `10.0.0.1:3260,1 iqn.2003-01.org.x:t`.
fn parse_targets(printed: &str) -> Vec<Target> {
    let mut targets: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (portal, name) in printed.lines().filter_map(|line| line.split_once(' ')) {
        let portal = portal.split_once(',').map_or(portal, |(portal, _)| portal);
        targets
            .entry(name.trim())
            .or_default()
            .push(portal.to_owned());
    }
    let targets = targets.into_iter().map(|(name, portals)| Target {
        name: name.to_owned(),
        portals,
    });
    targets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_folders_are_found() {
        let printed = "Disk|vms|guests' disks\nDisk|print$|Printer Drivers\nIPC|IPC$|IPC Service\n";
        let found = parse_shares(printed);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].description.as_str()),
            ("vms", "guests' disks")
        );
    }

    #[test]
    fn a_target_has_all_its_portals() {
        let printed =
            "10.0.0.1:3260,1 iqn.x:t\n[fd00::1]:3260,1 iqn.x:t\n10.0.0.2:3260,1 iqn.x:u\n";
        let found = parse_targets(printed);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].portals, ["10.0.0.1:3260", "[fd00::1]:3260"]);
    }
}
