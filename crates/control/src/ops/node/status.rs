//! `GET /nodes/{node}/status`

use model::Error;
use node::NodeContext;
use node::host::facts::{Facts, Processors};
use node::qemu::kvm::Verdict;
use proto::wire::Answer;
use proto::{API_VERSION, REPOSITORY_ID};
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let facts = Facts::new(node.host.clone());
    let (memory, processors) = (facts.memory().await, facts.processors().await);
    let usage = node.status.node_usage().unwrap_or_default();
    let root = node.host.space(node.paths.root()).await?;
    let (kernel, boot) = (facts.kernel().await, facts.boot_mode().await?);
    let mut boot_info = json!({"mode": if boot.efi { "efi" } else { "legacy-bios" }});
    if let Some(secure) = boot.secure {
        boot_info["secureboot"] = u8::from(secure).into();
    }
    Ok(Answer::new(json!({
        "uptime": facts.uptime().await as u64,
        "cpu": usage.cpu,
        "wait": usage.wait,
        "idle": 0,
        "loadavg": facts.load().await,
        "cpuinfo": cpu_info(&processors),
        "memory": {
            "total": memory.total,
            "used": memory.used(),
            "free": memory.free,
            "available": memory.available,
        },
        "swap": {
            "total": memory.swap_total,
            "used": memory.swap_total.saturating_sub(memory.swap_free),
            "free": memory.swap_free,
        },
        "rootfs": {
            "total": root.total,
            "used": root.used,
            "free": root.total.saturating_sub(root.used),
            "avail": root.available,
        },
        "ksm": {"shared": facts.shared_pages().await},
        "kversion": format!("{} {} {}", kernel.name, kernel.release, kernel.version),
        "current-kernel": {
            "sysname": kernel.name,
            "release": kernel.release,
            "version": kernel.version,
            "machine": kernel.machine,
        },
        "boot-info": boot_info,
        "pveversion": format!("pve-manager/{API_VERSION}/{REPOSITORY_ID}"),
        "ostler": ourselves(node).await,
    })))
}

fn cpu_info(processors: &Processors) -> Value {
    let virtualises = processors.has_flag("vmx") || processors.has_flag("svm");
    json!({
        "cpus": processors.cpus,
        "cores": processors.cores,
        "sockets": processors.sockets,
        "model": processors.model,
        "vendor": processors.vendor,
        "family": processors.family,
        "mhz": processors.mhz,
        "flags": processors.flags,
        "hvm": if virtualises { "1" } else { "" },
        "user_hz": node::host::facts::TICKS_PER_S,
    })
}

/// Fields that Proxmox VE does not have: Ostler's version, the versions of the programs in use, and
/// whether KVM works.
async fn ourselves(node: &NodeContext) -> Value {
    let mut ourselves = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "kvm": "unproven",
        "tools": node.programs.versions().await,
    });
    match node.kvm.known() {
        None => {}
        Some(Verdict::Usable) => ourselves["kvm"] = "usable".into(),
        Some(Verdict::Unusable(why)) => {
            ourselves["kvm"] = "unusable".into();
            ourselves["kvm-reason"] = why.into();
        }
    }
    ourselves
}
