//! `GET /cluster/ha/status/current`: whether there is quorum; no service is watched.

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn status_current(op: Op) -> Result<Answer, Error> {
    let node = op.context.node.name.as_str();
    let (quorate, status) = match op.context.store.outage() {
        None => (1, "OK".to_owned()),
        Some(_) => (0, format!("No quorum on node '{node}'!")),
    };
    Ok(Answer::new(json!([
        {"id": "quorum", "type": "quorum", "node": node, "quorate": quorate, "status": status},
        {
            "id": "fencing",
            "type": "fencing",
            "node": node,
            "armed-state": "standby",
            "status": "standby (CRM watchdog standby)",
        },
    ])))
}
