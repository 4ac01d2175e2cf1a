//! What a guest has of its host for as long as it runs: PCI devices, and memory in huge pages.
//!
//! ```text
//!   reserve ── take ── the guest runs (run file) ── give back
//!   which ones │       QEMU has them                mediated devices and pages go, the files are
//!   are free   │                                    root's again
//!              taken from the host's drivers, made, the files given to the guest's user
//! ```

use std::collections::BTreeMap;

use guest::HugePool;
use guest::qemu::memory::{HugePages, pieces};
use guest::qemu::{PciFunction, Pcis, RunningAs, VmConfig};
use model::{Error, VmId};
use serde::{Deserialize, Serialize};

use crate::NodeContext;
use crate::guests::reserved::Reservation;
use crate::host::{huge_pages, vfio};

const ROOT: (u32, u32) = (0, 0);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) pcis: Pcis,
    pub(crate) page_mib: Option<u32>,
    /// Pages that have to be made, and how many of each kind there are then.
    made: Vec<(HugePool, u64)>,
    /// Whether they stay when the guest has ended.
    keeps_pages: bool,
}

/// What a guest has reserved that is being started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passing {
    functions: Vec<PciFunction>,
    /// Pages that its memory will take.
    needed: Vec<HugePool>,
    /// Those of them that are not there yet.
    unmade: Vec<HugePool>,
}

impl Passed {
    pub(crate) fn functions(&self) -> Vec<PciFunction> {
        self.pcis.values().flatten().cloned().collect()
    }

    /// The pages that go when the guest has ended.
    pub(crate) fn pages_to_give_back(&self) -> Vec<HugePool> {
        match self.keeps_pages {
            true => Vec::new(),
            false => self.made.iter().map(|(pool, _)| pool.clone()).collect(),
        }
    }
}

/// The pages of `pool`'s size and place in a list.
fn of(pool: &HugePool, list: &[HugePool]) -> u64 {
    let same = list
        .iter()
        .filter(|other| (other.page_mib, other.node) == (pool.page_mib, pool.node));
    same.map(|other| other.count).sum()
}

impl NodeContext {
    /// Which functions other guests have, or are about to have.
    pub(super) async fn taken_functions(
        &self,
        vmid: VmId,
    ) -> Result<BTreeMap<PciFunction, VmId>, Error> {
        let mut taken = BTreeMap::new();
        for (other, passing) in self.passes.all() {
            let functions = passing.functions.into_iter();
            taken.extend(functions.map(|function| (function, other)));
        }
        for scope in self.host.scopes().await? {
            let Some(other) = scope.vmid() else { continue };
            let file = self.running.run_file(other).await?;
            let functions = file.into_iter().flat_map(|file| file.pcis);
            taken.extend(functions.map(|function| (function, other)));
        }
        taken.retain(|_, other| *other != vmid);
        Ok(taken)
    }

    /// Reserves and makes the pages of a guest that comes while it runs. One with devices of its host
    /// does not.
    pub(crate) async fn pages_of_arrival(
        &self,
        vmid: VmId,
        config: &VmConfig,
        running: &RunningAs,
    ) -> Result<(Passed, Reservation<Passing>), Error> {
        let deciding = self.passes.deciding.lock().await;
        let reserved = self.reserve_passed(vmid, config, running, Pcis::new());
        let (passed, reservation) = reserved.await?;
        drop(deciding);
        if let Err(error) = self.take_passed(vmid, &passed, None).await {
            self.undo_taking(&passed).await?;
            return Err(error);
        }
        Ok((passed, reservation))
    }

    /// Reserves what a guest takes of the host. The caller holds `passes.deciding`.
    pub(crate) async fn reserve_passed(
        &self,
        vmid: VmId,
        config: &VmConfig,
        running: &RunningAs,
        pcis: Pcis,
    ) -> Result<(Passed, Reservation<Passing>), Error> {
        let mut passed = Passed {
            pcis,
            keeps_pages: config.keeps_huge_pages,
            ..Passed::default()
        };
        let mut needed = Vec::new();
        if let Some(pages) = config.huge_pages {
            let pieces = pieces(running);
            let page_mib = self.page_size(pages, &pieces).await?;
            needed = pools(page_mib, &pieces);
            passed.page_mib = Some(page_mib);
            passed.made = self.missing(vmid, &needed).await?;
        }
        let passing = Passing {
            functions: passed.functions(),
            needed,
            unmade: passed.made.iter().map(|(pool, _)| pool.clone()).collect(),
        };
        let reservation = self.passes.reserve(vmid, passing);
        Ok((passed, reservation))
    }

    /// The size of the pages that divide all pieces of a guest's memory.
    async fn page_size(&self, pages: HugePages, pieces: &[(u64, Vec<u32>)]) -> Result<u32, Error> {
        let sizes = huge_pages::sizes(&self.host).await?;
        let divides = |page_mib: u32| pieces.iter().all(|(mib, _)| mib % u64::from(page_mib) == 0);
        let wanted = match pages {
            HugePages::Any => sizes.iter().copied().find(|size| divides(*size)),
            HugePages::Mib(size) => Some(size),
        };
        let page_mib = wanted.unwrap_or(2);
        if !sizes.contains(&page_mib) {
            let text = format!("your system doesn't support hugepages of {page_mib}MB");
            return Err(Error::conflict(text));
        }
        if !divides(page_mib) {
            let text = format!("hugepages: memory is not a multiple of {page_mib} MiB");
            return Err(Error::conflict(text));
        }
        Ok(page_mib)
    }

    /// Which pages have to be made so that there are these for a guest, and how many there are then.
    async fn missing(
        &self,
        vmid: VmId,
        needed: &[HugePool],
    ) -> Result<Vec<(HugePool, u64)>, Error> {
        let mut others = self.passes.all();
        others.remove(&vmid);
        let mut missing = Vec::new();
        for pool in needed {
            let (all, free) = huge_pages::look(&self.host, pool).await?;
            let awaited: u64 = others.values().map(|other| of(pool, &other.needed)).sum();
            let unmade: u64 = others.values().map(|other| of(pool, &other.unmade)).sum();
            let left = (free + unmade).saturating_sub(awaited);
            let count = pool.count.saturating_sub(left);
            if count > 0 {
                missing.push((HugePool { count, ..*pool }, all + unmade + count));
            }
        }
        Ok(missing)
    }

    /// Gets ready what was reserved, for QEMU that runs as `user`. May be repeated.
    pub(crate) async fn take_passed(
        &self,
        vmid: VmId,
        passed: &Passed,
        user: Option<(u32, u32)>,
    ) -> Result<(), Error> {
        for function in passed.functions() {
            let name = match &function {
                PciFunction::At(address) => {
                    vfio::take(&self.host, address).await?;
                    address
                }
                PciFunction::Mediated { parent, kind, uuid } => {
                    vfio::make(&self.host, parent, kind, uuid).await?;
                    uuid
                }
            };
            self.own_group(name, user.unwrap_or(ROOT)).await?;
        }
        let _deciding = self.passes.deciding.lock().await;
        for (pool, total) in &passed.made {
            huge_pages::raise(&self.host, pool, *total).await?;
        }
        self.passes.change(vmid, |passing| passing.unmade.clear());
        Ok(())
    }

    async fn own_group(&self, name: &str, (uid, gid): (u32, u32)) -> Result<(), Error> {
        match vfio::group_file(&self.host, name).await {
            Some(file) => Ok(self.host.chown(&file, uid, gid).await?),
            None => Err(Error::unavailable(format!("'{name}' is in no IOMMU group"))),
        }
    }

    /// Gives back what was got ready for a guest that does not start. Some of it may not have been.
    pub(crate) async fn undo_taking(&self, passed: &Passed) -> Result<(), Error> {
        let mut made = Vec::new();
        for (pool, total) in &passed.made {
            if huge_pages::look(&self.host, pool).await?.0 >= *total {
                made.push(pool.clone());
            }
        }
        self.give_back(&passed.functions(), &made).await
    }

    /// Gives back what a guest had that has ended. May be repeated, but for the pages.
    pub(crate) async fn give_back(
        &self,
        functions: &[PciFunction],
        pages: &[HugePool],
    ) -> Result<(), Error> {
        for function in functions {
            match function {
                PciFunction::At(address) => {
                    if let Some(file) = vfio::group_file(&self.host, address).await {
                        // There is none before a driver for guests has had the device.
                        let owned = self.host.chown(&file, ROOT.0, ROOT.1).await;
                        owned.or_else(|error| match error.is_not_found() {
                            true => Ok(()),
                            false => Err(error),
                        })?;
                    }
                    vfio::let_go(&self.host, address).await?;
                }
                PciFunction::Mediated { uuid, .. } => vfio::remove(&self.host, uuid).await?,
            }
        }
        for pool in pages {
            huge_pages::lower(&self.host, pool).await?;
        }
        Ok(())
    }
}

/// The pages of all pieces, by place. A piece that may be on several nodes is spread over them.
fn pools(page_mib: u32, pieces: &[(u64, Vec<u32>)]) -> Vec<HugePool> {
    let mut counts: BTreeMap<Option<u32>, u64> = BTreeMap::new();
    for (mib, nodes) in pieces {
        let pages = mib / u64::from(page_mib);
        if nodes.is_empty() {
            *counts.entry(None).or_default() += pages;
            continue;
        }
        let parts = guest::qemu::memory::share_out(pages, nodes.len() as u64);
        for (node, part) in nodes.iter().zip(parts) {
            *counts.entry(Some(*node)).or_default() += part;
        }
    }
    let counts = counts.into_iter();
    counts
        .map(|(node, count)| HugePool {
            page_mib,
            node,
            count,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_by_place() {
        let pieces = [(1024, vec![]), (512, vec![]), (1000, vec![0, 1])];
        let counts: Vec<(Option<u32>, u64)> = pools(2, &pieces)
            .into_iter()
            .map(|pool| (pool.node, pool.count))
            .collect();
        assert_eq!(counts, [(None, 768), (Some(0), 250), (Some(1), 250)]);
    }
}
