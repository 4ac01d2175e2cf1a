//! The answer to a change while the cluster has no quorum: why, what to do, and what still works.

use model::{Error, NodeName};
use node::NodeContext;
use node::cluster::Hearing;
use store::Outage;

/// The answer to a change. It begins with the text that clients of Proxmox VE match.
pub(crate) fn missing(node: &NodeContext, outage: &Outage) -> Error {
    let links = node.cluster.links();
    let silent = links.iter().filter(|link| link.hearing() != Hearing::Heard);
    let silent: Vec<&NodeName> = silent.map(|link| link.node()).collect();
    Error::unavailable(text(&outage.reason, &silent))
}

fn text(reason: &str, silent: &[&NodeName]) -> String {
    let next = if silent.is_empty() {
        "all other nodes are heard, so look at the log of etcd on those that vote".to_owned()
    } else {
        let names: Vec<String> = silent.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        format!("not heard: {names}; start these nodes, or repair the links to them")
    };
    format!(
        "cluster not ready - no quorum? Nothing can be changed ({reason}); {next}. Guests run on and \
         can be stopped here, and changes are accepted again by themselves."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_nodes_and_the_next_step_are_named() {
        let (b, c): (NodeName, NodeName) = ("b".parse().unwrap(), "c".parse().unwrap());
        let answer = text("no answer in time", &[&b, &c]);
        for part in [
            "cluster not ready - no quorum? ",
            "(no answer in time)",
            "not heard: b, c; start these nodes",
        ] {
            assert!(answer.contains(part), "{answer}");
        }
        assert!(text("x", &[]).contains("look at the log of etcd"));
    }
}
