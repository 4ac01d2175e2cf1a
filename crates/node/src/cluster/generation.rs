//! The generation of the state: it grows by one each time quorum is forced (decision 18).

use model::NodeName;
use tokio::sync::watch;

/// What this node and the others have.
#[derive(Default)]
pub struct Generation {
    own: watch::Sender<Option<u64>>,
    /// A member with a later one.
    later: watch::Sender<Option<NodeName>>,
}

impl Generation {
    /// None while it is not known.
    pub fn own(&self) -> Option<u64> {
        *self.own.borrow()
    }

    pub(crate) fn set(&self, generation: u64) {
        self.own.send_replace(Some(generation));
    }

    /// A member has this one.
    pub(super) fn heard(&self, node: &NodeName, generation: Option<u64>) {
        if let (Some(own), Some(theirs)) = (self.own(), generation)
            && theirs > own
        {
            self.later.send_replace(Some(node.clone()));
        }
    }

    /// Waits until a member has a later generation than this node.
    pub(crate) async fn superseded(&self) -> NodeName {
        let mut later = self.later.subscribe();
        let later = later.wait_for(Option::is_some).await;
        // The sender is in `self`.
        let later = later.ok().and_then(|later| later.clone());
        match later {
            Some(node) => node,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_later_generation_counts() {
        let generation = Generation::default();
        let n = |name: &str| name.parse::<NodeName>().unwrap();
        // Nothing can be later than what is not known.
        generation.heard(&n("a"), Some(9));
        generation.set(3);
        generation.heard(&n("b"), None);
        generation.heard(&n("c"), Some(3));
        generation.heard(&n("d"), Some(4));
        assert_eq!(generation.superseded().await, n("d"));
        assert_eq!(generation.own(), Some(3));
    }
}
