//! `GET /cluster/metrics/export`

use std::collections::BTreeSet;

use model::{Error, NodeName, UnixTime};
use node::history::Metric;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Export {
    #[serde(default)]
    history: bool,
    node_list: Option<String>,
    #[serde(default)]
    start_time: UnixTime,
}

/// Another node's agent gets this node's part.
pub(super) async fn metrics_export(op: Op) -> Result<Answer, Error> {
    let asked: Export = op.params()?;
    let node = &op.context.node;
    let wanted = wanted(&op, asked.node_list.as_deref())?;
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
    let own = || {
        node.history
            .recent
            .metrics(&node.name, asked.history, asked.start_time)
    };
    if op.is_part() {
        return Ok(Answer::new(json!([{"node": node.name, "metrics": own()}])));
    }
    let mut metrics: Vec<Metric> = Vec::new();
    for part in &op.others {
        if part["node"].as_str().is_some_and(is_wanted) {
            // Another version may count what this one does not know.
            let part: Vec<Metric> =
                serde_json::from_value(part["metrics"].clone()).unwrap_or_default();
            metrics.extend(part);
        }
    }
    if is_wanted(node.name.as_str()) {
        metrics.extend(own());
    }
    metrics.sort_by_key(|metric| metric.timestamp);
    Ok(Answer::new(json!({"data": metrics})))
}

/// The names of the wanted nodes; none: all of them.
fn wanted(op: &Op, list: Option<&str>) -> Result<Option<BTreeSet<String>>, Error> {
    let Some(list) = list else { return Ok(None) };
    let names = list
        .split([',', ';', ' ', '\0'])
        .filter(|name| !name.is_empty());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    let node = &op.context.node;
    let is_known = |name: &&String| {
        let name = NodeName::new((*name).clone());
        name.is_ok_and(|name| name == node.name || node.cluster.members.get(&name).is_some())
    };
    let unknown: Vec<&str> = names
        .iter()
        .filter(|name| !is_known(name))
        .map(String::as_str)
        .collect();
    match unknown.is_empty() {
        true => Ok(Some(names)),
        false => {
            let text = format!(
                "Requested node-list contains unknown nodes - {}",
                unknown.join(", ")
            );
            Err(Error::invalid("node-list", text))
        }
    }
}
