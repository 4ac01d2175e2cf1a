//! `/ostler/admission`, and what it is on a node.

#[expect(
    clippy::module_inception,
    reason = "the operation has the name of what it is about"
)]
mod admission;
mod admission_update;
mod guest_admission;
mod node_admission;
mod node_admission_update;

use model::Error;
use node::Rooms;
use planner::Room;
use proto::wire::Answer;
use serde_json::{Map, Value, json};
use store::Key;

use crate::ops::settings::update_settings;
use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("ostler_admission", admission::admission),
    pair!(
        "ostler_admission_update",
        admission_update::admission_update
    ),
    pair!("node_admission", node_admission::node_admission),
    pair!(
        "node_admission_update",
        node_admission_update::node_admission_update
    ),
    pair!("guest_admission", guest_admission::guest_admission),
];

/// What a policy consists of.
const OPTIONS: [&str; 5] = [
    "mode",
    "memory-ratio",
    "memory-reserve",
    "cpu-ratio",
    "cpu-reserve",
];

/// Rooms as answers show them.
fn shown(rooms: &Rooms) -> Map<String, Value> {
    let fields = [
        ("mode", json!(rooms.mode.as_str())),
        ("guests", json!(rooms.guests)),
        ("memory", room(&rooms.memory)),
        ("cpus", room(&rooms.cpus)),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn room(room: &Room) -> Value {
    let mut shown = json!({
        "total": room.total,
        "reserve": room.policy.reserve,
        "committed": room.committed,
        "free": room.free(),
        "ratio": room.ratio(),
    });
    if let Some(ratio) = room.policy.ratio {
        shown["policy-ratio"] = ratio.into();
    }
    if let Some(limit) = room.limit() {
        shown["limit"] = limit.into();
    }
    shown
}

/// Changes a policy by the parameters of a request.
async fn update(op: &Op, key: &Key) -> Result<Answer, Error> {
    update_settings(op, key, &OPTIONS, &["node"]).await
}
