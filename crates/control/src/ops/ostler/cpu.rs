//! `GET /ostler/cpu`

use std::collections::BTreeSet;

use guest::qemu::CpuAbilities;
use model::{Error, NodeName};
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;

/// Other nodes are asked by this node's agent.
pub(super) async fn cpu(op: Op) -> Result<Answer, Error> {
    let cpu = op.context.node.cluster_cpu(None).await;
    let answered = cpu.nodes.values().flatten();
    let of_all: BTreeSet<&String> = answered.flat_map(|node| &node.flags).collect();
    let rows = cpu.nodes.iter();
    let rows: Vec<Value> = rows.map(|(name, node)| row(name, node, &of_all)).collect();
    let mut answer = json!({"nodes": rows});
    if let Some(common) = &cpu.common {
        answer["cpu"] = common.option().into();
        answer["models"] = json!(common.models);
        answer["flags"] = json!(common.flags);
    }
    Ok(Answer::new(answer))
}

fn row(name: &NodeName, node: &Result<CpuAbilities, Error>, of_all: &BTreeSet<&String>) -> Value {
    match node {
        Err(error) => json!({"node": name, "error": error.to_string()}),
        Ok(has) => {
            let lacks = of_all.iter().filter(|flag| !has.flags.contains(**flag));
            json!({
                "node": name,
                "accel": has.accel.as_str(),
                "vendor": has.vendor,
                "cpu": has.option(),
                "lacks": lacks.collect::<Vec<_>>(),
            })
        }
    }
}
