//! Whether another node can give a running guest the processor that it has.

use std::collections::BTreeSet;

use guest::qemu::{Accel, CpuAbilities, RunningAs};
use model::{Error, NodeName, VmId};

use super::Look;
use crate::NodeContext;
use crate::tasks::qmp_failed;

/// The processor of a guest that runs.
#[derive(Debug)]
pub(crate) struct GuestCpu {
    vmid: VmId,
    accel: Accel,
    flags: BTreeSet<String>,
    /// Whether it is as good as its host's, and of the same kind.
    is_hosts: bool,
}

impl NodeContext {
    pub(crate) async fn guest_cpu(
        &self,
        vmid: VmId,
        machine: &RunningAs,
    ) -> Result<GuestCpu, Error> {
        let qmp = self.running.qmp(vmid).await?;
        let flags = qmp.cpu_flags(&machine.cpu).await.map_err(qmp_failed)?;
        let model = machine.cpu.split(',').next();
        Ok(GuestCpu {
            vmid,
            accel: machine.accel,
            flags,
            is_hosts: matches!(model, Some("host" | "max")),
        })
    }

    /// Refuses a node whose processors lack something that the guest's has. Returns what the guest
    /// will see that an administrator should know of.
    pub(crate) async fn check_cpu(
        &self,
        cpu: &GuestCpu,
        target: &NodeName,
    ) -> Result<Option<String>, Error> {
        let accel = Some(cpu.accel);
        let there: CpuAbilities = self.look(target, Look::Processor { accel }).await?;
        let here = self.cpu_abilities(accel).await?;
        cpu.check(&here, target, &there)
    }
}

impl GuestCpu {
    fn check(
        &self,
        here: &CpuAbilities,
        target: &NodeName,
        there: &CpuAbilities,
    ) -> Result<Option<String>, Error> {
        let vmid = self.vmid;
        let both = CpuAbilities::common([here, there]);
        let both = both.map(|both| both.option()).unwrap_or_default();
        let advice = format!("both nodes can give it 'cpu: {both}'");
        let missing: Vec<&str> = self
            .flags
            .difference(&there.flags)
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let text = format!(
                "node '{target}' lacks CPU flags that VM {vmid} runs with: {missing}; {advice}"
            );
            return Err(Error::conflict(text));
        }
        if self.accel == Accel::Kvm && here.vendor != there.vendor {
            let (ours, theirs) = (&here.vendor, &there.vendor);
            let text = format!(
                "node '{target}' has processors of vendor '{theirs}', VM {vmid} runs on '{ours}'"
            );
            return match self.is_hosts {
                true => Err(Error::conflict(format!(
                    "{text}, as CPU type 'host'; {advice}"
                ))),
                false => Ok(Some(text)),
            };
        }
        let is_other = self.is_hosts && here.flags != there.flags;
        Ok(is_other.then(|| {
            format!(
                "VM {vmid} has its host's processor, and node '{target}' has another one; {advice}"
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(flags: &[&str]) -> BTreeSet<String> {
        flags.iter().map(|flag| (*flag).to_owned()).collect()
    }

    fn node(vendor: &str, flags: &[&str]) -> CpuAbilities {
        CpuAbilities {
            accel: Accel::Kvm,
            vendor: vendor.to_owned(),
            flags: set(flags),
            models: set(&["x86-64-v2"]),
        }
    }

    fn checked(
        flags: &[&str],
        is_hosts: bool,
        there: &CpuAbilities,
    ) -> Result<Option<String>, String> {
        let cpu = GuestCpu {
            vmid: VmId::new(100).unwrap(),
            accel: Accel::Kvm,
            flags: set(flags),
            is_hosts,
        };
        let here = node("GenuineIntel", &["avx", "avx2", "pcid"]);
        let checked = cpu.check(&here, &"b".parse().unwrap(), there);
        checked.map_err(|error| error.message)
    }

    #[test]
    fn what_the_target_lacks_is_named() {
        let there = node("GenuineIntel", &["avx", "pcid"]);
        assert_eq!(
            checked(&["avx", "avx2"], false, &there),
            Err(
                "node 'b' lacks CPU flags that VM 100 runs with: avx2; both nodes can give it \
                 'cpu: x86-64-v2,flags=+pcid'"
                    .to_owned()
            )
        );
        assert_eq!(checked(&["avx"], false, &there), Ok(None));
    }

    /// covers: S3.86
    #[test]
    fn a_hosts_processor_does_not_become_another_vendors() {
        let more = ["avx", "avx2", "pcid", "xop"];
        let (alike, other) = (node("GenuineIntel", &more), node("AuthenticAMD", &more));
        let said = checked(&["avx"], true, &alike).unwrap().unwrap();
        assert!(said.contains("has another one"), "{said}");
        let why = checked(&["avx"], true, &other).unwrap_err();
        assert!(
            why.contains("'AuthenticAMD'") && why.contains("'host'"),
            "{why}"
        );
        let said = checked(&["avx"], false, &other).unwrap().unwrap();
        assert!(said.contains("'AuthenticAMD'"), "{said}");
    }
}
