//! `PUT /nodes/{node}/qemu/{vmid}/sendkey`

use model::Error;
use node::tasks::qmp_failed;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Keys {
    key: String,
}

/// Keys have QEMU's names, joined by hyphens.
pub(super) async fn sendkey(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Keys { key } = op.params()?;
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !key.split('-').all(is_name) {
        return Err(Error::invalid(
            "key",
            format!("'{key}' are not names of keys"),
        ));
    }
    op.records.qemu(vmid).await?;
    let qmp = op.context.node.running.qmp(vmid).await?;
    let complaint = qmp
        .human_monitor(&format!("sendkey {key}"))
        .await
        .map_err(qmp_failed)?;
    match complaint.trim() {
        "" => Ok(Answer::null()),
        complaint => Err(Error::invalid("key", complaint)),
    }
}
