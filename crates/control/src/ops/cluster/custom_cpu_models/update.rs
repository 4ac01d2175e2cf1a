//! `PUT /cluster/qemu/custom-cpu-models/{cputype}`: guests that run keep the processor that they
//! have.

use model::Error;
use model::qemu::CUSTOM_CPU;
use model::schema::format::split_list;
use node::Settings;
use node::cpu_models::{cpu_model_key, no_cpu_model};
use proto::wire::Answer;
use serde::Deserialize;

use super::Named;
use crate::ops::settings::{check_deleted, check_digest};
use crate::ops::{Op, change_options};

#[derive(Deserialize)]
struct Update {
    delete: Option<String>,
    digest: Option<String>,
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let named: Named = op.params()?;
    let name = named.name()?;
    let update: Update = op.params()?;
    let options: Vec<&str> = CUSTOM_CPU.iter().map(|field| field.name).collect();
    let change = |model: &mut Settings| {
        check_digest(model, update.digest.as_deref())?;
        let deleted = split_list(update.delete.as_deref().unwrap_or_default());
        check_deleted(deleted, &["reported-model"], &options, &op.params)?;
        change_options(&op.params, &["cputype", "delete", "digest"], model);
        Ok(())
    };
    let (key, missing) = (cpu_model_key(name)?, || no_cpu_model(name));
    let revision = op.records.update_settings(&key, missing, change).await?;
    Ok(Answer::null().at(revision.0))
}
