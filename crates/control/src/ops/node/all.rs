//! `POST /nodes/{node}/{startall,stopall}`

use model::schema::format::split_list;
use model::{Error, VmId};
use node::tasks::{Chosen, NodeStartall, NodeStopall};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Start {
    force: Option<bool>,
    max_workers: Option<usize>,
    vms: Option<String>,
}

pub(super) async fn start(op: Op) -> Result<Answer, Error> {
    let start: Start = op.params()?;
    let task = NodeStartall {
        chosen: chosen(start.vms, start.max_workers),
        force: start.force == Some(true),
    };
    op.context.submit(&op, "", task).await
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stop {
    force_stop: Option<bool>,
    max_workers: Option<usize>,
    timeout: Option<u64>,
    vms: Option<String>,
}

/// How long a guest may take where nobody says.
const TIMEOUT_S: u64 = 180;

pub(super) async fn stop(op: Op) -> Result<Answer, Error> {
    let stop: Stop = op.params()?;
    let task = NodeStopall {
        chosen: chosen(stop.vms, stop.max_workers),
        timeout_s: stop.timeout.unwrap_or(TIMEOUT_S),
        force_stop: stop.force_stop != Some(false),
    };
    op.context.submit(&op, "", task).await
}

fn chosen(vms: Option<String>, workers: Option<usize>) -> Chosen {
    let parse = |list: String| -> Vec<VmId> {
        split_list(&list).filter_map(|id| id.parse().ok()).collect()
    };
    Chosen {
        vmids: vms.map(parse),
        workers,
    }
}
