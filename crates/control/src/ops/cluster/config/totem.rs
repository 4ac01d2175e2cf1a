//! `GET /cluster/config/totem`

use model::Error;
use node::state::ClusterRecord;
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

/// In the form of corosync's configuration, which clients know. There is no corosync: the values
/// that have no meaning here are constants.
pub(super) async fn totem(op: Op) -> Result<Answer, Error> {
    Ok(match op.records.cluster().await? {
        Some(cluster) => Answer::new(of(&cluster)),
        None => Answer::null(),
    })
}

pub(super) fn of(cluster: &ClusterRecord) -> Value {
    json!({
        "version": "2",
        "cluster_name": cluster.name,
        "config_version": cluster.version.to_string(),
        "secauth": "on",
        "ip_version": "ipv4-6",
        "link_mode": "passive",
        "interface": {"0": {"linknumber": "0"}},
    })
}
