//! The history of this node, its guests and its storages.
//!
//! ```text
//!   sample ── Moment ──► NodeHistory ── rates, figures ──► history::History ──► files
//!                          │     ▲
//!       Recent: the last   │     └── Guests: the records of this node's guests
//!       half hour, whole ◄─┘
//!
//!   a guest that came from another node: `moved` asks the others for what they have of it
//! ```

mod follow;
mod guests;
pub mod kept;
mod metrics;
mod moment;
mod moved;
mod rates;
mod values;

use std::sync::Arc;

use ::history::{Object, Origin, Recorded, Sample};
use tracing::warn;

use crate::NodeContext;
pub use metrics::{Metric, MetricKind};
pub(crate) use moment::Moment;
pub use moved::OP;
use values::NodeState;

/// Keeps the records of guests at hand and brings histories together, for as long as the agent
/// lives. Never returns.
pub async fn follow_history(node: &Arc<NodeContext>) {
    tokio::join!(follow::follow(node), moved::follow(node));
}

impl NodeContext {
    /// Adds a moment to the history.
    pub(crate) async fn record(&self, moment: &Moment<'_>) {
        let state = NodeState::read(&self.host, moment.links).await;
        let now = self.clock.wall();
        let samples = self.samples(moment, &state);
        let uptime_s = |vmid| self.status.guest(vmid).map_or(0, |usage| usage.uptime_s);
        let present = self.history.guests.all();
        self.history
            .recent
            .add(now, moment, &state, &present, uptime_s);
        match self.history.files.record(now, samples).await {
            Ok(Recorded { moved }) => self.history.ask_for(&moved),
            Err(error) => warn!(%error, "a minute of history is lost"),
        }
    }

    fn samples(&self, moment: &Moment<'_>, state: &NodeState) -> Vec<Sample> {
        let at = self.clock.monotonic();
        let mut rates = self.history.rates();
        let mut samples = Vec::with_capacity(1 + moment.guests.len() + moment.storages.len());
        samples.push(Sample {
            object: Object::Node,
            origin: Origin::default(),
            values: values::of_node(moment.node, state, &rates.of_node(at, state.traffic)),
        });
        for (vmid, known) in self.history.guests.all().iter() {
            let running = moment.guests.binary_search_by_key(vmid, |usage| usage.vmid);
            let running = running.ok().map(|found| &moment.guests[found]);
            let running = running.map(|usage| (usage, rates.of_guest(at, usage)));
            samples.push(Sample {
                object: Object::Guest(*vmid),
                origin: known.origin,
                values: values::of_guest(known, running.as_ref()),
            });
        }
        let active = moment.storages.iter().filter(|usage| usage.active);
        samples.extend(active.map(|usage| Sample {
            object: Object::Storage(usage.storage.clone()),
            origin: Origin::default(),
            values: values::of_storage(usage),
        }));
        rates.retain(moment.guests);
        samples
    }
}
