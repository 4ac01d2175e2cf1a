//! The status of all members as one stream.

use std::collections::BTreeMap;

use futures_util::future::select_all;
use model::NodeName;
use proto::status::StatusUpdate;
use tokio::sync::watch;

use super::links::Links;
use crate::StatusFeed;

/// See `Cluster::reports`.
pub struct Reports<'a> {
    links: &'a Links,
    changes: watch::Receiver<()>,
    own: StatusFeed,
    others: BTreeMap<NodeName, StatusFeed>,
}

impl<'a> Reports<'a> {
    pub(super) fn new(links: &'a Links, own: StatusFeed) -> Self {
        let mut changes = links.changes();
        changes.mark_changed();
        Self {
            links,
            changes,
            own,
            others: BTreeMap::new(),
        }
    }

    /// The next update of any member. The first one of each is complete, or says that it is silent.
    /// May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> StatusUpdate {
        loop {
            let feeds = self.others.values_mut().chain([&mut self.own]);
            let next = select_all(feeds.map(|feed| Box::pin(feed.next())));
            tokio::select! {
                biased;
                // The links, which this borrows, keep the sender.
                _ = self.changes.changed() => {}
                (update, ..) = next => return update,
            }
            self.follow_links();
        }
    }

    fn follow_links(&mut self) {
        let links = self.links.all();
        self.others
            .retain(|_, feed| links.iter().any(|link| feed.is_of(link.status())));
        for link in links {
            let feed = || link.status().feed();
            self.others.entry(link.node().clone()).or_insert_with(feed);
        }
    }
}
