//! `POST /cluster/qemu/custom-cpu-models`

use model::Error;
use node::Settings;
use node::cpu_models::cpu_model_key;
use proto::wire::Answer;

use super::Named;
use crate::ops::{Op, change_options};

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let named: Named = op.params()?;
    let name = named.name()?;
    let mut model = Settings::default();
    change_options(&op.params, &["cputype"], &mut model);
    let exists = || Error::conflict(format!("custom CPU model '{name}' already exists"));
    let added = op
        .records
        .add_settings(&cpu_model_key(name)?, model)
        .await?;
    Ok(Answer::null().at(added.ok_or_else(exists)?.0))
}
