//! `GET /nodes/{node}/capabilities/qemu/cpu-flags`

use model::{Error, NodeName};
use node::host::facts::Facts;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

/// Flags that every guest may switch, the host's name of each, and its purpose.
pub(in crate::ops) const FLAGS: [(&str, &str, &str); 12] = [
    ("aes", "aes", "Instructions for AES encryption."),
    (
        "amd-no-ssb",
        "amd_ssb_no",
        "Shows AMD guests that speculative store bypass is harmless.",
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
        "Shows Intel guests that buffers can be cleared.",
    ),
    ("nested-virt", "", "Lets a guest run nested guests."),
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

#[derive(Deserialize)]
struct Flags {
    node: NodeName,
    accel: Option<String>,
}

pub(super) async fn qemu_cpu_flags(op: Op) -> Result<Answer, Error> {
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
            // The flags of an emulated processor do not depend on the host's.
            if !emulated && is_supported(host_name) {
                flag["supported-on"] = json!([node.as_str()]);
            }
            flag
        })
        .collect();
    Ok(Answer::new(flags))
}
