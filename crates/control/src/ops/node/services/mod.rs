//! `/nodes/{node}/services`

mod list;
mod state;

use node::host::services::Service;
use serde_json::{Value, json};

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("service_list", list::list),
    pair!("service_state", state::state),
];

fn row(service: &Service) -> Value {
    json!({
        "service": service.name,
        "name": service.name,
        "desc": service.description,
        "state": service.state,
        "active-state": service.active,
        "unit-state": service.unit,
    })
}
