//! What the prechecks of migrations of VMs and containers answer alike.

use node::migration::{Fit, Precheck};
use serde_json::{Map, Value, json};

/// The nodes that a guest may move to.
pub(super) fn allowed(precheck: &Precheck) -> Vec<String> {
    let fits = precheck.nodes.iter().filter(|(_, fit)| fit.is_allowed());
    fits.map(|(node, _)| node.to_string()).collect()
}

/// The others, with why.
pub(super) fn not_allowed(precheck: &Precheck) -> Map<String, Value> {
    let others = precheck.nodes.iter().filter(|(_, fit)| !fit.is_allowed());
    others
        .map(|(node, fit)| (node.to_string(), why_not(fit)))
        .collect()
}

/// `reasons` are our own: Proxmox VE finds them out when the guest moves.
fn why_not(fit: &Fit) -> Value {
    let mut why = Map::new();
    if !fit.unavailable.is_empty() {
        why.insert("unavailable_storages".to_owned(), json!(fit.unavailable));
    }
    if !fit.missing_mapped.is_empty() {
        why.insert(
            "unavailable-resources".to_owned(),
            json!(fit.missing_mapped),
        );
    }
    if !fit.reasons.is_empty() {
        why.insert("reasons".to_owned(), json!(fit.reasons));
    }
    Value::Object(why)
}
