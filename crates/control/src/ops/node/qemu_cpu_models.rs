//! `GET /nodes/{node}/capabilities/qemu/cpu`

use guest::qemu::cpu_models;
use model::Error;
use proto::wire::Answer;

use super::OnNode;
use super::capabilities::ask;
use crate::ops::Op;

pub(super) async fn qemu_cpu_models(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    let help = ask(&op, &node, &["-cpu", "help"]).await?;
    let models = serde_json::to_value(cpu_models(&help));
    Ok(Answer::new(
        models.map_err(|error| Error::bug(error.to_string()))?,
    ))
}
