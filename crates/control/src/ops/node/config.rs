//! `GET /nodes/{node}/config`

use model::{Error, NodeName};
use node::node_config_key;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ops::Op;

#[derive(Deserialize)]
struct Get {
    node: NodeName,
    property: Option<String>,
}

pub(super) async fn config(op: Op) -> Result<Answer, Error> {
    let Get { node, property } = op.params()?;
    let settings = op.records.settings(&node_config_key(&node)).await?;
    let is_wanted = |name: &String| property.as_ref().is_none_or(|p| p == "all" || p == name);
    let shown = settings.options.iter().filter(|(name, _)| is_wanted(name));
    let mut answer: Map<String, Value> = shown
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // The answer for a node without configuration is empty.
    if !answer.is_empty() {
        answer.insert("digest".into(), settings.digest().into());
    }
    Ok(Answer::new(answer))
}
