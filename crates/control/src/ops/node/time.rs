//! `GET /nodes/{node}/time`

use model::Error;
use node::host::time_zone;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn time(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let timezone = time_zone::of(node).await?;
    let time = op.context.clock.wall();
    let localtime = time + time_zone::offsets_s(&node.host, &timezone, &[time]).await?[0];
    Ok(Answer::new(
        json!({"timezone": timezone, "time": time, "localtime": localtime}),
    ))
}
