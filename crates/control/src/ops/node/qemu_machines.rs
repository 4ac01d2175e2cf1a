//! `GET /nodes/{node}/capabilities/qemu/machines`

use guest::qemu::machines;
use model::Error;
use proto::wire::Answer;

use super::OnNode;
use super::capabilities::ask;
use crate::ops::Op;

pub(super) async fn qemu_machines(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    let help = ask(&op, &node, &["-machine", "help"]).await?;
    let machines = serde_json::to_value(machines(&help));
    Ok(Answer::new(
        machines.map_err(|error| Error::bug(error.to_string()))?,
    ))
}
