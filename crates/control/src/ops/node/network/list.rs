//! `GET /nodes/{node}/network`

use model::{Error, Privilege};
use node::host::interfaces::{Interface, interfaces};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

use crate::ops::Op;

#[derive(Deserialize)]
struct List {
    r#type: Option<String>,
}

/// With one of these a caller may attach guests to bridges, so it sees them.
const USERS: [Privilege; 2] = [Privilege::SdnAudit, Privilege::SdnUse];

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    let access = op.context.authority.refresh(store::Read::Local).await?;
    let view = access.view(op.identity()?, op.context.authority.now());
    let may_see = |interface: &Interface| {
        let path = format!("/sdn/zones/localnetwork/{}", interface.name);
        !interface.is_bridge() || view.has_any(&path, &USERS)
    };
    let rows = interfaces(&op.context.node)
        .await?
        .into_iter()
        .filter(|known| known.name != "lo" && is_wanted(known, wanted.r#type.as_deref()))
        .filter(may_see)
        .map(|interface| {
            let mut row = interface.fields;
            row.insert("iface".into(), interface.name.into());
            Value::Object(row)
        });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

fn is_wanted(interface: &Interface, kind: Option<&str>) -> bool {
    match kind {
        None | Some("include_sdn") => true,
        Some("any_bridge" | "any_local_bridge") => interface.is_bridge(),
        Some(kind) => interface.kind() == kind,
    }
}
