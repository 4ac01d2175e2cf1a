//! `GET /cluster/config/join`

use model::{Error, ErrorKind, NodeName};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{nodes, totem};
use crate::ops::Op;

#[derive(Deserialize)]
struct Information {
    node: Option<NodeName>,
}

pub(super) async fn config_join(op: Op) -> Result<Answer, Error> {
    let Information { node } = op.params()?;
    let Some(cluster) = op.records.cluster().await? else {
        let text = "node is not in a cluster, no join info available!";
        return Err(Error::new(ErrorKind::Unmet, text));
    };
    let preferred = node.unwrap_or_else(|| op.context.node.name.clone());
    let members = op.context.node.cluster.members.all();
    if !members.contains_key(&preferred) {
        return Err(Error::conflict(format!("unknown node '{preferred}'")));
    }
    let list = members.values().map(|member| {
        let mut row = nodes::row(member);
        row["pve_addr"] = member.link().into();
        row["pve_fp"] = member.api_fingerprint.as_str().into();
        row
    });
    let (list, totem) = (list.collect::<Vec<Value>>(), totem::of(&cluster));
    let digest = node::text_digest(json!([list, totem]).to_string().as_bytes());
    Ok(Answer::new(json!({
        "nodelist": list,
        "preferred_node": preferred,
        "totem": totem,
        "config_digest": digest,
    })))
}
