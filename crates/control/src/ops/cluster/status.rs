//! `GET /cluster/status`

use model::Error;
use node::host::facts::Facts;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

/// A user's tasks include those of the user's tokens; a token's are only its own.
pub(super) fn is_of(user: &str, me: &str) -> bool {
    user == me || user.split('!').next() == Some(me)
}

/// A single node is not a cluster, so there is no row for one.
pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let name = op.context.node.name.as_str();
    let mut member = json!({
        "id": format!("node/{name}"),
        "type": "node",
        "name": name,
        "nodeid": 0,
        "local": 1,
        "online": 1,
        "level": "",
    });
    let facts = Facts::new(op.context.node.host.clone());
    if let Some(address) = facts.address(name).await {
        member["ip"] = address.into();
    }
    Ok(Answer::new(json!([member])))
}
