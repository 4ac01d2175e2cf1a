//! `GET /nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev`

use model::Error;
use node::host::pci::{self, MediatedType};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Device {
    /// There are no mappings yet, so a mapping's name finds no device.
    pci_id_or_mapping: String,
}

pub(super) async fn pci_mdev_list(op: Op) -> Result<Answer, Error> {
    let wanted: Device = op.params()?;
    let host = &op.context.node.host;
    let types = pci::mediated_types(host, &wanted.pci_id_or_mapping).await;
    Ok(Answer::new(types.iter().map(row).collect::<Vec<_>>()))
}

fn row(kind: &MediatedType) -> Value {
    let mut row = json!({
        "type": kind.id,
        "description": kind.description,
        "available": kind.available,
    });
    if let Some(name) = &kind.name {
        row["name"] = name.as_str().into();
    }
    row
}
