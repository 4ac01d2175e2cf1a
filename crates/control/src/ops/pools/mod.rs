//! `/pools`

mod create;
mod delete;
mod get;
mod list;
mod members;
mod update;

use model::schema::format::split_list;
use model::{Error, PoolId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Op, Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("pool_list", list::list),
    pair!("pool_create", create::create),
    pair!("pool_update", update::update),
    pair!("pool_delete", delete::delete),
    pair!("pool_get", get::get),
    pair!("pool_update_by_path", update::update),
    pair!("pool_delete_by_path", delete::delete),
];

#[derive(Deserialize)]
struct Params {
    poolid: PoolId,
    comment: Option<String>,
    vms: Option<String>,
    storage: Option<String>,
    delete: Option<bool>,
    #[serde(rename = "allow-move")]
    allow_move: Option<bool>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

async fn shown(op: &Op, id: &PoolId, kind: Option<&str>) -> Result<Value, Error> {
    let access = op.context.authority.access();
    let missing = || Error::not_found(format!("pool '{id}' does not exist"));
    let pool = access.pool(id).ok_or_else(missing)?;
    let members = members::of(&op.context, pool, kind).await?;
    let mut data = json!({"poolid": id.as_str(), "members": members});
    if !pool.comment.is_empty() {
        data["comment"] = pool.comment.as_str().into();
    }
    Ok(data)
}

fn guests(list: Option<&str>) -> Vec<u32> {
    split_list(list.unwrap_or_default())
        .filter_map(|vmid| vmid.parse().ok())
        .collect()
}
