//! `GET /cluster/ha/status/manager_status`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn manager_status(op: Op) -> Result<Answer, Error> {
    let node = op.context.node.name.as_str();
    Ok(Answer::new(json!({
        "manager_status": {"node_status": {}},
        "quorum": {"node": node, "quorate": "1"},
    })))
}
