//! `GET /nodes/{node}/capabilities/qemu/cpu`

use guest::qemu::{CpuModel, cpu_models};
use model::Error;
use proto::wire::Answer;
use serde_json::Value;

use super::OnNode;
use super::capabilities::ask;
use crate::ops::Op;
use crate::ops::cluster::custom_cpu_models;

pub(super) async fn qemu_cpu_models(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    let help = ask(&op, &node, &["-cpu", "help"]).await?;
    let mut models = cpu_models(&help);
    let own = custom_cpu_models::seen(&op).await?;
    models.extend(own.iter().map(|(name, model)| {
        let reported = model.options.get("reported-model").and_then(Value::as_str);
        CpuModel::custom(name, reported.unwrap_or_default())
    }));
    let models = serde_json::to_value(models);
    Ok(Answer::new(
        models.map_err(|error| Error::bug(error.to_string()))?,
    ))
}
