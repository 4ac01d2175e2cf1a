//! `GET /nodes/{node}/storage/{storage}/prunebackups`

use model::retention::Retention;
use model::{Error, GuestKind, StorageId, VmId};
use node::{MarkedBackup, Pruning};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

/// Which backups, and by which rule.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Asked {
    storage: StorageId,
    prune_backups: Option<String>,
    #[serde(rename = "type")]
    kind: Option<GuestKind>,
    vmid: Option<VmId>,
}

pub(super) fn pruning(op: &Op) -> Result<Pruning, Error> {
    let asked: Asked = op.params()?;
    let keep = asked.prune_backups.as_deref().map(Retention::parse);
    Ok(Pruning {
        storage: asked.storage,
        keep: keep
            .transpose()
            .map_err(|reason| Error::invalid("prune-backups", reason))?,
        kind: asked.kind,
        vmid: asked.vmid,
    })
}

pub(super) async fn backup_prunable(op: Op) -> Result<Answer, Error> {
    let marked = op.context.node.mark_backups(&pruning(&op)?).await?;
    Ok(Answer::new(marked.iter().map(row).collect::<Vec<_>>()))
}

fn row(backup: &MarkedBackup) -> Value {
    let mut row = json!({
        "volid": backup.volume.to_string(),
        "ctime": backup.created,
        "type": backup.kind.map_or("unknown", GuestKind::as_str),
        "mark": backup.mark.as_str(),
    });
    if let Some(owner) = backup.owner {
        row["vmid"] = owner.get().into();
    }
    row
}
