//! Adds groups of disks to a pool, which stripes over all of its groups.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};

use super::pool_change::{ChangesPool, PoolChange, its_change, pool_task};
use crate::NodeContext;
use crate::host::pools::zpool::State;

/// What a group of a pool is: how its disks stand in for each other, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// `single`, `mirror`, `raidz1`, …
    kind: String,
    width: usize,
}

/// What will be added, as long as nothing was.
#[derive(Debug, Clone, PartialEq)]
pub struct AddPlan {
    /// As `zpool add` takes it.
    pub layout: Vec<String>,
    /// In bytes, before and after, as the pool counts them: with what makes up for lost disks.
    pub size: u64,
    pub size_after: u64,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZpoolAdd {
    change: PoolChange,
    devices: Vec<String>,
    /// What the new disks become; none: what the pool is made of.
    level: Option<String>,
    force: bool,
    layout: Vec<String>,
}

impl ZpoolAdd {
    pub fn new(pool: StorageId, devices: Vec<String>, level: Option<String>, force: bool) -> Self {
        Self {
            change: PoolChange::new(pool),
            devices,
            level,
            force,
            layout: Vec::new(),
        }
    }

    /// Refuses disks that are used, and, unless forced, groups that are not like the pool's.
    pub async fn check(&mut self, node: &NodeContext) -> Result<AddPlan, Error> {
        let pool = self.change.state(node).await?;
        let (group, mut warnings) = self.group(&groups(&pool))?;
        self.change.choose(node, &self.devices).await?;
        let mut size_after = pool.pool.size;
        self.layout.clear();
        let disks = self.change.names.chunks(group.width);
        for (disks, sizes) in disks.zip(self.change.sizes.chunks(group.width)) {
            if group.kind != "single" {
                self.layout.push(group.kind.clone());
            }
            self.layout.extend(disks.iter().cloned());
            size_after += group.bytes(sizes);
        }
        warnings.append(&mut self.change.warnings);
        self.change.warnings.clone_from(&warnings);
        Ok(AddPlan {
            layout: self.layout.clone(),
            size: pool.pool.size,
            size_after,
            warnings,
        })
    }

    /// What the new disks become, and what is to be said of that.
    fn group(&self, groups: &[Group]) -> Result<(Group, Vec<String>), Error> {
        let count = self.devices.len();
        let Some(last) = groups.last() else {
            return Err(Error::conflict("the pool has no groups of disks"));
        };
        if last.kind.starts_with("draid") {
            return Err(Error::conflict("groups of dRAID are not added here"));
        }
        let kind = self
            .level
            .as_deref()
            .map_or(last.kind.as_str(), |level| match level {
                "raidz" => "raidz1",
                level => level,
            });
        let is_alike = kind == last.kind && count > 0 && count.is_multiple_of(last.width);
        if is_alike {
            return Ok((last.clone(), Vec::new()));
        }
        let (like, width) = (&last.kind, last.width);
        let text = match kind == *like {
            true => format!("{count} disks are no groups of {width}, as the pool has"),
            false => format!("the pool is made of {like} groups of {width}, not of {kind}"),
        };
        let Some(least) = least(kind).filter(|_| self.force) else {
            return Err(Error::conflict(text));
        };
        if count < least {
            return Err(Error::conflict(format!(
                "{kind} needs at least {least} disks"
            )));
        }
        let width = if kind == "single" { 1 } else { count };
        let kind = kind.to_owned();
        Ok((Group { kind, width }, vec![text]))
    }
}

/// None where such groups are not made here.
fn least(kind: &str) -> Option<usize> {
    match kind {
        "single" => Some(1),
        "mirror" => Some(2),
        "raidz1" => Some(3),
        "raidz2" => Some(4),
        "raidz3" => Some(5),
        _ => None,
    }
}

impl Group {
    /// How much such a group adds to the size of a pool.
    fn bytes(&self, disks: &[u64]) -> u64 {
        let least = disks.iter().copied().min().unwrap_or_default();
        match self.kind.starts_with("raidz") {
            true => least * disks.len() as u64,
            false => least,
        }
    }
}

/// The groups that a pool's data is on.
fn groups(pool: &State) -> Vec<Group> {
    let data = pool.status.devices.first().into_iter();
    let groups = data.flat_map(|data| &data.children).map(|group| {
        let kind = group.name.split('-').next().unwrap_or_default();
        match group.children.len() {
            0 => Group {
                kind: "single".to_owned(),
                width: 1,
            },
            width => Group {
                kind: kind.to_owned(),
                width,
            },
        }
    });
    groups.collect()
}

pool_task!(ZpoolAdd, "zpool_add", "zpooladd");

#[async_trait]
impl ChangesPool for ZpoolAdd {
    its_change!();

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await.map(drop)
    }

    fn arguments(&self) -> Vec<String> {
        let words = ["add"].into_iter().chain(self.force.then_some("-f"));
        let words = words.chain([self.change.pool.as_str()]).map(str::to_owned);
        words.chain(self.layout.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(kind: &str, width: usize) -> Group {
        let kind = kind.to_owned();
        Group { kind, width }
    }

    fn wanted(count: usize, level: Option<&str>, force: bool) -> ZpoolAdd {
        let devices = (0..count).map(|number| format!("/dev/d{number}")).collect();
        let level = level.map(str::to_owned);
        ZpoolAdd::new("tank".parse().unwrap(), devices, level, force)
    }

    #[test]
    fn what_is_added_is_like_the_pool() {
        let mirrors = [group("mirror", 2), group("mirror", 2)];
        let chosen = |wanted: &ZpoolAdd| wanted.group(&mirrors).map(|(group, _)| group);
        assert_eq!(chosen(&wanted(4, None, false)).unwrap(), mirrors[0]);
        let refused = |wanted: &ZpoolAdd| chosen(wanted).unwrap_err().message;
        let text = "3 disks are no groups of 2, as the pool has";
        assert_eq!(refused(&wanted(3, None, false)), text);
        let text = "the pool is made of mirror groups of 2, not of single";
        assert_eq!(refused(&wanted(1, Some("single"), false)), text);
        let text = "raidz1 needs at least 3 disks";
        assert_eq!(refused(&wanted(2, Some("raidz"), true)), text);
        let (forced, warnings) = wanted(3, Some("raidz"), true).group(&mirrors).unwrap();
        assert_eq!((forced, warnings.len()), (group("raidz1", 3), 1));
        assert!(
            wanted(2, None, true)
                .group(&[group("draid1:2d:4c:0s", 4)])
                .is_err()
        );
    }

    #[test]
    fn a_group_is_as_large_as_its_smallest_disk_allows() {
        assert_eq!(group("mirror", 2).bytes(&[8, 6]), 6);
        assert_eq!(group("raidz1", 3).bytes(&[8, 6, 9]), 18);
        assert_eq!(group("single", 1).bytes(&[8]), 8);
    }
}
