//! What guests' processors can have: on this node, and on all members.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use guest::qemu::abilities::{QUESTIONS, arguments};
use guest::qemu::{Accel, CpuAbilities};
use model::{Error, NodeName, with_timeout};
use sys::Command;

use super::kvm::Verdict;
use super::programs::QEMU;
use crate::NodeContext;
use crate::host::facts::Facts;
use crate::migration::Look;

/// How long QEMU may take for its answers; it needs some hundredths of a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long another member may take.
const PART: Duration = Duration::from_secs(2);

/// The abilities of all members.
pub struct ClusterCpu {
    pub nodes: BTreeMap<NodeName, Result<CpuAbilities, Error>>,
    /// What all have that have answered.
    pub common: Option<CpuAbilities>,
}

impl NodeContext {
    /// What guests can have here; with KVM, if no accelerator is named and it works.
    pub async fn cpu_abilities(&self, accel: Option<Accel>) -> Result<CpuAbilities, Error> {
        let accel = match (self.kvm.verdict().await, accel) {
            (_, Some(Accel::Tcg)) | (Verdict::Unusable(_), None) => Accel::Tcg,
            (Verdict::Usable, _) => Accel::Kvm,
            (Verdict::Unusable(why), Some(Accel::Kvm)) => {
                return Err(Error::unavailable(format!("KVM is not available: {why}")));
            }
        };
        let groups_of = match accel {
            Accel::Kvm if self.guest_user.is_some() => vec!["/dev/kvm".into()],
            _ => Vec::new(),
        };
        let command = Command {
            user: self.guest_user,
            groups_of,
            input: QUESTIONS.into(),
            ..Command::new(QEMU)
                .args(arguments(accel))
                .timeout(Some(PATIENCE))
        };
        let host = Facts::new(self.host.clone()).processors().await;
        let answers = self.programs.ask_by(command, &host.flags).await?;
        let answers = answers.ok_or_else(|| Error::unavailable(format!("{QEMU} is missing")))?;
        let read = CpuAbilities::read(accel, &answers);
        read.map_err(|error| Error::unavailable(error.to_string()))
    }

    /// Asks all members.
    pub async fn cluster_cpu(&self, accel: Option<Accel>) -> ClusterCpu {
        let links = self.cluster.links();
        let others = links.iter().map(|link| async {
            let node = link.node().clone();
            let asked = self.look(&node, Look::Processor { accel });
            let answer = with_timeout(&*self.clock, PART, asked).await;
            let late = || Err(Error::unavailable("no answer in time"));
            (node, answer.unwrap_or_else(late))
        });
        let (own, others) = tokio::join!(self.cpu_abilities(accel), join_all(others));
        let nodes: BTreeMap<_, _> = others
            .into_iter()
            .chain([(self.name.clone(), own)])
            .collect();
        let common = CpuAbilities::common(nodes.values().flatten());
        ClusterCpu { nodes, common }
    }
}
