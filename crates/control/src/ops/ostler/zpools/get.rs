//! `GET /ostler/nodes/{node}/pools/{name}`

use model::Error;
use node::host::pools::zpool;
use proto::wire::Answer;

use super::{Named, device, row};
use crate::ops::Op;

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let state = zpool::state(&op.context.node.host, name.as_str()).await?;
    let mut shown = row(&state);
    shown["devices"] = state.status.devices.iter().map(device).collect();
    Ok(Answer::new(shown))
}
