//! `GET /nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev`

use std::collections::BTreeMap;

use model::{Error, MappingKind};
use node::host::pci::{self, MediatedType};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Device {
    pci_id_or_mapping: String,
}

pub(super) async fn pci_mdev_list(op: Op) -> Result<Answer, Error> {
    let wanted: Device = op.params()?;
    let node = &op.context.node;
    let mut types: BTreeMap<String, MediatedType> = BTreeMap::new();
    for address in addresses(&op, wanted.pci_id_or_mapping).await? {
        for kind in pci::mediated_types(&node.host, &address).await {
            match types.get_mut(&kind.id) {
                Some(known) => known.available += kind.available,
                None => drop(types.insert(kind.id.clone(), kind)),
            }
        }
    }
    Ok(Answer::new(types.values().map(row).collect::<Vec<_>>()))
}

/// A mapping may be several devices on this node.
async fn addresses(op: &Op, device: String) -> Result<Vec<String>, Error> {
    if device.contains(':') {
        return Ok(vec![device]);
    }
    let (kind, node) = (MappingKind::Pci, &op.context.node.name);
    let (_, entries) = op.records.mapped_on(kind, &device, node).await?;
    let paths = entries.iter().filter_map(|entry| entry.text("path"));
    Ok(paths
        .flat_map(|path| path.split(';'))
        .map(str::to_owned)
        .collect())
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
