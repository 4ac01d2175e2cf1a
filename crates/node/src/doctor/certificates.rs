//! How long this node's certificates are valid.

use std::path::Path;

use model::{Error, NodeName, UnixTime};

use super::Finding;
use crate::NodeContext;
use crate::host::certificates::end_of;
use crate::pki::PairPaths;

const DAY_S: i64 = 86_400;
const SOON_DAYS: i64 = 30;

pub(super) async fn check(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    let now = node.clock.wall();
    let ends = ends(node).await?.into_iter();
    let finding = |(name, end)| finding(&node.name, name, end, now);
    Ok(ends.map(finding).collect())
}

/// The certificates that this node has, and when they end.
pub(crate) async fn ends(node: &NodeContext) -> Result<Vec<(&'static str, UnixTime)>, Error> {
    let tls = node.paths.tls();
    let mut served = vec![("api", node.paths.served_certificate())];
    let pairs: [(&str, PairPaths); 5] = [
        ("authority", PairPaths::authority(&tls)),
        ("agent", PairPaths::agent(&tls)),
        ("etcd authority", PairPaths::etcd_authority(&tls)),
        ("etcd client", PairPaths::etcd_client(&tls)),
        ("etcd server", PairPaths::etcd_server(&node.paths)),
    ];
    served.extend(pairs.map(|(name, pair)| (name, pair.certificate)));
    let mut ends = Vec::new();
    for (name, path) in served {
        if let Some(end) = read_end(node, &path).await? {
            ends.push((name, end));
        }
    }
    Ok(ends)
}

/// None: there is no such certificate.
async fn read_end(node: &NodeContext, path: &Path) -> Result<Option<UnixTime>, Error> {
    match node.host.read(path).await {
        Ok(content) => end_of(path, &content).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn finding(node: &NodeName, name: &str, end: UnixTime, now: UnixTime) -> Finding {
    let days = (end - now).div_euclid(DAY_S);
    let finding = |found: String| Finding::of(node, "certificate", found).valued(end);
    let advice = match name {
        "authority" | "etcd authority" => "let the nodes leave the cluster, and make it anew",
        // The agent has done so by itself, where it could.
        _ => "look at the agent's log, and renew it: pvecm updatecerts",
    };
    if end <= now {
        let found = format!("'{name}' ended {} days ago", -days);
        finding(found).fails("connections with it are refused", advice)
    } else if days < SOON_DAYS {
        let found = format!("'{name}' ends in {days} days");
        finding(found).warns("connections with it are refused then", advice)
    } else {
        finding(format!("'{name}' is valid for {days} days"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn an_end_is_announced_a_month_before() {
        let level = |days: i64| finding(&"a".parse().unwrap(), "agent", days * DAY_S, 0).level;
        assert_eq!(
            [31, 29, 0, -1].map(level),
            [Level::Ok, Level::Warning, Level::Error, Level::Error]
        );
    }
}
