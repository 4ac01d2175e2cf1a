//! Which guests a job is for. A pool, a tag and all are read at each run: a new guest is in it
//! without a change of the job.

use std::collections::{BTreeMap, BTreeSet};

use model::schema::format::split_list;
use model::{Error, GuestKind, GuestRecord, NodeName, PoolId, VmId};

use crate::NodeContext;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    Listed(Vec<VmId>),
    Pool(String),
    Tag(String),
    AllBut(Vec<VmId>),
}

impl Choice {
    /// Exactly one of the options is set; that is checked where they are.
    pub(super) fn of<'a>(text: impl Fn(&str) -> Option<&'a str>, all: Option<bool>) -> Self {
        if let Some(pool) = text("pool") {
            return Self::Pool(pool.to_owned());
        }
        if let Some(tag) = text("tag") {
            return Self::Tag(tag.to_owned());
        }
        match all {
            Some(true) => Self::AllBut(vmids(text("exclude"))),
            _ => Self::Listed(vmids(text("vmid"))),
        }
    }
}

fn vmids(list: Option<&str>) -> Vec<VmId> {
    let mut seen = BTreeSet::new();
    let all = split_list(list.unwrap_or_default()).filter_map(|vmid| vmid.parse().ok());
    all.filter(|vmid| seen.insert(*vmid)).collect()
}

/// Which guests, and on which node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Only there.
    pub node: Option<NodeName>,
    pub choice: Choice,
}

/// The guests of a node that are selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    pub guests: Vec<(VmId, GuestKind)>,
    /// Templates that a pool, a tag or all would select. One that is named is refused by its name.
    pub templates: Vec<VmId>,
    /// Named, and on no node.
    pub absent: Vec<VmId>,
}

impl Selection {
    /// The selected guests of this node, by number.
    pub async fn on(&self, node: &NodeContext) -> Result<Selected, Error> {
        let mut all = self.by_node(node).await?;
        Ok(all.remove(&node.name).unwrap_or_default())
    }

    /// Whether a snapshot of this guest is made. One of a template is only made where it is named.
    pub async fn includes(&self, node: &NodeContext, guest: &GuestRecord) -> Result<bool, Error> {
        let is_elsewhere = self.node.as_ref().is_some_and(|only| *only != guest.node);
        if is_elsewhere || (is_template(guest) && !self.is_list()) {
            return Ok(false);
        }
        Ok(self.has(guest, &self.members(node).await?))
    }

    fn is_list(&self) -> bool {
        matches!(self.choice, Choice::Listed(_))
    }

    /// The selected guests of each node that has any.
    pub async fn by_node(&self, node: &NodeContext) -> Result<BTreeMap<NodeName, Selected>, Error> {
        let members = self.members(node).await?;
        let mut there = BTreeSet::new();
        let mut all: BTreeMap<NodeName, Selected> = BTreeMap::new();
        for guest in node.records.guests().await? {
            let guest = guest?;
            there.insert(guest.vmid);
            let is_elsewhere = self.node.as_ref().is_some_and(|only| *only != guest.node);
            if is_elsewhere || !self.has(&guest, &members) {
                continue;
            }
            let selected = all.entry(guest.node.clone()).or_default();
            if is_template(&guest) && !self.is_list() {
                selected.templates.push(guest.vmid);
            } else {
                selected.guests.push((guest.vmid, guest.kind));
            }
        }
        let named = match &self.choice {
            Choice::Listed(vmids) => vmids.as_slice(),
            _ => &[],
        };
        let is_absent = |vmid: &&VmId| !there.contains(*vmid);
        let absent: Vec<VmId> = named.iter().filter(is_absent).copied().collect();
        for selected in all.values_mut() {
            selected.guests.sort_unstable_by_key(|(vmid, _)| *vmid);
            selected.templates.sort_unstable();
            selected.absent = absent.clone();
        }
        Ok(all)
    }

    /// The numbers of the pool's guests.
    async fn members(&self, node: &NodeContext) -> Result<BTreeSet<u32>, Error> {
        let Choice::Pool(pool) = &self.choice else {
            return Ok(BTreeSet::new());
        };
        let access = node.authority.refresh(store::Read::Linear).await?;
        let pool = PoolId::new(pool.clone()).ok();
        let pool = pool.and_then(|id| access.pool(&id).cloned());
        Ok(pool.map(|pool| pool.guests).unwrap_or_default())
    }

    fn has(&self, guest: &GuestRecord, members: &BTreeSet<u32>) -> bool {
        match &self.choice {
            Choice::Listed(vmids) => vmids.contains(&guest.vmid),
            Choice::Pool(_) => members.contains(&guest.vmid.get()),
            Choice::Tag(tag) => {
                let tags = guest.config.text("tags").unwrap_or_default();
                split_list(&tags).any(|own| own == tag)
            }
            Choice::AllBut(vmids) => !vmids.contains(&guest.vmid),
        }
    }
}

fn is_template(guest: &GuestRecord) -> bool {
    guest.config.flag("template") == Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::job;
    use super::*;

    #[test]
    fn a_selection_is_read_from_the_options() {
        let choice = |options| job("j", options).selection().choice;
        let vmid = |number| VmId::new(number).unwrap();
        assert_eq!(
            choice(json!({"vmid": "101,100;101"})),
            Choice::Listed(vec![vmid(101), vmid(100)])
        );
        assert_eq!(
            choice(json!({"all": true, "exclude": "100"})),
            Choice::AllBut(vec![vmid(100)])
        );
        assert_eq!(choice(json!({"tag": "db"})), Choice::Tag("db".into()));
        let selection = job("j", json!({"pool": "p", "node": "pve1"})).selection();
        assert_eq!(selection.choice, Choice::Pool("p".into()));
        assert_eq!(selection.node, Some("pve1".parse().unwrap()));
    }

    #[test]
    fn a_tag_is_one_of_the_guests_words() {
        let selection = job("j", json!({"tag": "db"})).selection();
        let mut guest = GuestRecord::new(
            VmId::new(100).unwrap(),
            GuestKind::Qemu,
            "pve1".parse().unwrap(),
            0,
        );
        let has = |guest: &GuestRecord| selection.has(guest, &BTreeSet::new());
        assert!(!has(&guest));
        guest.config.set("tags", "dbs;web");
        assert!(!has(&guest));
        guest.config.set("tags", "web;db");
        assert!(has(&guest));
    }
}
