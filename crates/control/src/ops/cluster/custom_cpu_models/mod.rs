//! `/cluster/qemu/custom-cpu-models`

mod create;
mod delete;
mod get;
mod list;
mod update;

use model::Error;
use model::qemu::custom_cpu_name;
use model::schema::format;
use node::Settings;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ops::cluster::mapping::SEES;
use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("custom_cpu_model_create", create::create),
    pair!("custom_cpu_model_delete", delete::delete),
    pair!("custom_cpu_model_get", get::get),
    pair!("custom_cpu_model_list", list::list),
    pair!("custom_cpu_model_update", update::update),
];

#[derive(Deserialize)]
struct Named {
    cputype: String,
}

impl Named {
    /// The name under which a model is kept: `my` for `my` and for `custom-my`, as a guest calls it.
    fn name(&self) -> Result<&str, Error> {
        let name = custom_cpu_name(&self.cputype).unwrap_or(&self.cputype);
        match format::CONFIG_ID.allows(name) {
            true => Ok(name),
            false => {
                let text = format!("invalid format - invalid configuration ID '{name}'\n");
                Err(Error::invalid("cputype", text))
            }
        }
    }
}

/// A model as an answer shows it.
fn shown(name: &str, model: &Settings) -> Map<String, Value> {
    let mut shown: Map<String, Value> = model.options.clone().into_iter().collect();
    shown.insert("cputype".to_owned(), format!("custom-{name}").into());
    shown.insert("digest".to_owned(), model.digest().into());
    shown
}

/// The models that the caller may see, by name.
pub(in crate::ops) async fn seen(op: &Op) -> Result<Vec<(String, Settings)>, Error> {
    let mut models = op.records.cpu_models().await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    models.retain(|(name, _)| view.has_any(&format!("/mapping/cpu/custom-{name}"), &SEES));
    Ok(models)
}
