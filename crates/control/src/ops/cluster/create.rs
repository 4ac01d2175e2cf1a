//! `POST /cluster/config`

use model::Error;
use node::tasks::ClusterCreate;
use proto::wire::Answer;
use serde::Deserialize;

use super::config::link;
use crate::ops::Op;

#[derive(Deserialize)]
struct Create {
    clustername: String,
    link0: Option<String>,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let create: Create = op.params()?;
    if op.records.cluster().await?.is_some() {
        // The text of Proxmox VE, of which scripts look for the end.
        return Err(Error::conflict(
            "cluster config '/etc/pve/corosync.conf' already exists",
        ));
    }
    let address = link::own(&op, create.link0.as_deref()).await?;
    let task = ClusterCreate::new(create.clustername.clone(), address);
    op.context.submit(&op, create.clustername, task).await
}
