//! `GET /cluster/qemu/cpu-flags`

use std::collections::{BTreeMap, BTreeSet};

use guest::qemu::{Accel, CpuAbilities, known_cpu_flags};
use model::{Error, NodeName};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;
use crate::ops::node::{FLAGS, capabilities};

#[derive(Deserialize)]
struct Flags {
    accel: Option<Accel>,
}

pub(super) async fn cpu_flags(op: Op) -> Result<Answer, Error> {
    let accel = op.params::<Flags>()?.accel.unwrap_or(Accel::Kvm);
    let node = &op.context.node;
    let help = capabilities::ask(&op, &node.name, &["-cpu", "help"]).await?;
    // A node that cannot say it, as one without KVM, supports nothing.
    let nodes: BTreeMap<NodeName, CpuAbilities> = node
        .cluster_cpu(Some(accel))
        .await
        .nodes
        .into_iter()
        .filter_map(|(node, abilities)| Some((node, abilities.ok()?)))
        .collect();
    let offered = FLAGS.iter().map(|(name, ..)| *name);
    let names: BTreeSet<&str> = known_cpu_flags(&help).into_iter().chain(offered).collect();
    let rows: Vec<Value> = names.iter().map(|name| row(name, &nodes)).collect();
    Ok(Answer::new(rows))
}

fn row(name: &str, nodes: &BTreeMap<NodeName, CpuAbilities>) -> Value {
    let gives = |abilities: &CpuAbilities| match name {
        // These stand for others, or are KVM's own.
        "nested-virt" => ["vmx", "svm"]
            .iter()
            .any(|flag| abilities.flags.contains(*flag)),
        "hv-evmcs" => abilities.accel == Accel::Kvm && abilities.flags.contains("vmx"),
        "hv-tlbflush" => abilities.accel == Accel::Kvm,
        name => abilities.flags.contains(name),
    };
    let on: Vec<&str> = nodes
        .iter()
        .filter(|(_, abilities)| gives(abilities))
        .map(|(node, _)| node.as_str())
        .collect();
    let mut row = json!({"name": name});
    if let Some((.., description)) = FLAGS.iter().find(|(flag, ..)| *flag == name) {
        row["description"] = (*description).into();
    }
    if !on.is_empty() {
        row["supported-on"] = on.into();
    }
    row
}
