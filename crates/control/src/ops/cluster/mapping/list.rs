//! `GET /cluster/mapping/{kind}`

use model::{Error, MappingKind};
use node::Settings;
use node::mappings::mapping_faults;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::{Kind, SEES, shown, told};
use crate::Context;
use crate::ops::Op;

pub(super) async fn list<K: Kind>(op: Op) -> Result<Answer, Error> {
    let kind = K::KIND.as_str();
    let mut mappings = op.records.mappings(K::KIND).await?;
    {
        let access = op.context.authority.access();
        let view = access.view(op.identity()?, op.context.authority.now());
        mappings.retain(|(id, _)| view.has_any(&format!("/mapping/{kind}/{id}"), &SEES));
    }
    // The node that is named runs this.
    let is_checked = op.params.contains_key("check-node");
    let mut rows: Vec<Value> = Vec::new();
    for (id, mapping) in &mappings {
        let mut row = shown(K::KIND, mapping);
        row.insert("id".to_owned(), id.as_str().into());
        if is_checked {
            let key = match K::KIND {
                MappingKind::Usb => "errors",
                MappingKind::Dir | MappingKind::Pci => "checks",
            };
            let faults = faults(&op.context, K::KIND, id, mapping).await;
            row.insert(key.to_owned(), faults.into());
        }
        rows.push(row.into());
    }
    Ok(Answer::new(rows))
}

async fn faults(context: &Context, kind: MappingKind, id: &str, mapping: &Settings) -> Vec<Value> {
    let node = &context.node;
    let faults = mapping_faults(&node.host, kind, (id, mapping), &node.name).await;
    let row = |(severity, message)| json!({"severity": severity, "message": message});
    faults.iter().map(told).map(row).collect()
}
