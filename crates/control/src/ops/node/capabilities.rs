//! `/nodes/{node}/capabilities/qemu`

use guest::qemu::{cpu_models, machines};
use model::{Error, NodeName};
use node::host::facts::Facts;
use node::qemu::programs::QEMU;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::OnNode;
use crate::ops::Op;

/// Flags that every guest may switch, the host's name of each, and what it is good for.
const FLAGS: [(&str, &str, &str); 12] = [
    ("aes", "aes", "Instructions for AES encryption."),
    (
        "amd-no-ssb",
        "amd_ssb_no",
        "Tells guests on AMD that speculative store bypass is no danger.",
    ),
    (
        "amd-ssbd",
        "amd_ssbd",
        "Best protection against speculative store bypass on AMD.",
    ),
    (
        "hv-evmcs",
        "vmx",
        "Faster nested guests of Windows, on Intel.",
    ),
    (
        "hv-tlbflush",
        "hypervisor",
        "Faster memory of Windows with more processors than the host.",
    ),
    (
        "ibpb",
        "ibpb",
        "Lets a guest protect itself from other guests' branch predictions, on AMD.",
    ),
    (
        "md-clear",
        "md_clear",
        "Tells guests on Intel that buffers can be cleared.",
    ),
    ("nested-virt", "", "Lets a guest run guests of its own."),
    (
        "pcid",
        "pcid",
        "Makes the protection against Meltdown cheaper, on Intel.",
    ),
    ("pdpe1gb", "pdpe1gb", "Pages of 1 GiB inside the guest."),
    (
        "spec-ctrl",
        "spec_ctrl",
        "Protection against Spectre by microcode, on Intel.",
    ),
    (
        "ssbd",
        "ssbd",
        "Protection against speculative store bypass, on Intel.",
    ),
];

/// What QEMU prints for a question, as far as it is there at all.
async fn ask(op: &Op, node: &NodeName, args: &[&str]) -> Result<String, Error> {
    let answer = op.context.node.programs.ask(QEMU, args).await?;
    answer.ok_or_else(|| Error::unavailable(format!("{QEMU} is not installed on '{node}'")))
}

pub(super) async fn cpu(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    let help = ask(&op, &node, &["-cpu", "help"]).await?;
    let models = serde_json::to_value(cpu_models(&help));
    Ok(Answer::new(
        models.map_err(|error| Error::bug(error.to_string()))?,
    ))
}

pub(super) async fn machine_types(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    let help = ask(&op, &node, &["-machine", "help"]).await?;
    let machines = serde_json::to_value(machines(&help));
    Ok(Answer::new(
        machines.map_err(|error| Error::bug(error.to_string()))?,
    ))
}

#[derive(Deserialize)]
struct Flags {
    node: NodeName,
    accel: Option<String>,
}

pub(super) async fn cpu_flags(op: Op) -> Result<Answer, Error> {
    let Flags { node, accel } = op.params()?;
    let host = Facts::new(op.context.node.host.clone()).processors().await;
    let emulated = accel.as_deref() == Some("tcg");
    let is_supported = |host_name: &str| match host_name {
        "" => host.has_flag("vmx") || host.has_flag("svm"),
        name => host.has_flag(name),
    };
    let flags: Vec<Value> = FLAGS
        .iter()
        .map(|(name, host_name, description)| {
            let mut flag = json!({"name": name, "description": description});
            // What an emulated processor can do has nothing to do with the host's.
            if !emulated && is_supported(host_name) {
                flag["supported-on"] = json!([node.as_str()]);
            }
            flag
        })
        .collect();
    Ok(Answer::new(flags))
}

pub(super) async fn migration(_: Op) -> Result<Answer, Error> {
    // Nothing carries the state of the host's connection tracking along yet.
    Ok(Answer::new(json!({"has-dbus-vmstate": 0})))
}
