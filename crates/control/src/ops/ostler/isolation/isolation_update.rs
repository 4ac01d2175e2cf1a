//! `PUT /ostler/isolation`

use model::schema::format::split_list;
use model::{Error, PoolId};
use node::isolation::isolation_key;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;
use crate::ops::settings::update_settings;

const OPTIONS: [&str; 3] = ["bridges", "pools", "tags"];

#[derive(Deserialize)]
struct Update {
    pools: Option<String>,
}

pub(super) async fn isolation_update(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    check_pools(&op, update.pools.as_deref().unwrap_or_default())?;
    update_settings(&op, &isolation_key(), &OPTIONS, &[]).await
}

fn check_pools(op: &Op, names: &str) -> Result<(), Error> {
    let access = op.context.authority.access();
    for name in split_list(names) {
        let is_there = name
            .parse()
            .is_ok_and(|id: PoolId| access.pool(&id).is_some());
        if !is_there {
            return Err(Error::invalid(
                "pools",
                format!("pool '{name}' does not exist"),
            ));
        }
    }
    Ok(())
}
