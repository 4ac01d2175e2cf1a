//! What the processors of guests can have, and what that means for guests that move.

use std::collections::BTreeSet;

use guest::qemu::CpuAbilities;
use model::Error;
use serde_json::{Value, json};

use super::Finding;
use crate::NodeContext;

const CPU: &str = "cpu";

pub(super) async fn check(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    if node.kvm.known().is_none() {
        return Ok(vec![Finding::of(&node.name, CPU, "KVM is being tried")]);
    }
    let abilities = node.cpu_abilities(None).await?;
    let found = format!(
        "{}, {}, {} flags, enough for '{}'",
        abilities.accel.as_str(),
        abilities.vendor,
        abilities.flags.len(),
        abilities.option()
    );
    Ok(vec![
        Finding::of(&node.name, CPU, found).valued(json!(abilities)),
    ])
}

/// Finds what nodes lack that others have.
pub(super) fn compare(findings: &mut [Finding]) {
    let abilities = |finding: &Finding| -> Option<CpuAbilities> {
        let is_cpu = finding.check == CPU && finding.value != Value::Null;
        is_cpu.then(|| serde_json::from_value(finding.value.clone()).ok())?
    };
    let all: Vec<CpuAbilities> = findings.iter().filter_map(abilities).collect();
    let Some(common) = CpuAbilities::common(&all) else {
        return;
    };
    let model = common.option();
    for finding in findings {
        let Some(own) = abilities(finding) else {
            continue;
        };
        let others = all.iter().filter(|other| other.accel == own.accel);
        let of_all: BTreeSet<&String> = others.flat_map(|other| &other.flags).collect();
        let lacks = of_all.into_iter().filter(|flag| !own.flags.contains(*flag));
        let lacks: Vec<&str> = lacks.map(String::as_str).collect();
        let means = if all.iter().any(|other| other.accel != own.accel) {
            "guests that run do not move between nodes with KVM and nodes without".to_owned()
        } else if !lacks.is_empty() {
            let lacks = lacks.join(", ");
            format!(
                "guests that run with one of these flags of other nodes cannot move here: {lacks}"
            )
        } else if common.vendor.is_empty() {
            "the nodes' processors are of different vendors: guests of the CPU type 'host' cannot move \
             between these while they run"
                .to_owned()
        } else {
            continue;
        };
        let advice = format!("give guests that are to move 'cpu: {model}', which all nodes have");
        *finding = finding.clone().warns(means, advice);
    }
}

#[cfg(test)]
mod tests {
    use guest::qemu::Accel;
    use model::NodeName;

    use super::super::Level;
    use super::*;

    fn finding(node: &str, accel: Accel, flags: &[&str]) -> Finding {
        let abilities = CpuAbilities {
            accel,
            vendor: "GenuineIntel".to_owned(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            models: ["x86-64-v2-AES".to_owned()].into(),
        };
        let name: NodeName = node.parse().unwrap();
        Finding::of(&name, CPU, "x").valued(json!(abilities))
    }

    #[test]
    fn a_node_that_lacks_flags_of_others_is_found() {
        let (more, less) = (["avx2", "pcid"], ["pcid"]);
        let mut unlike = [
            finding("a", Accel::Kvm, &more),
            finding("b", Accel::Kvm, &less),
        ];
        compare(&mut unlike);
        let [a, b] = &unlike;
        assert_eq!((a.level, b.level), (Level::Ok, Level::Warning));
        assert!(b.means.ends_with(": avx2"), "{b:?}");
        assert!(b.advice.contains("x86-64-v2-AES,flags=+pcid"), "{b:?}");

        let mut mixed = [
            finding("a", Accel::Kvm, &more),
            finding("b", Accel::Tcg, &more),
        ];
        compare(&mut mixed);
        assert!(mixed.iter().all(|finding| finding.level == Level::Warning));
        let mut alike = [finding("a", Accel::Kvm, &more)];
        compare(&mut alike);
        assert_eq!(alike[0].level, Level::Ok);
    }
}
