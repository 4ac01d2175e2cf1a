//! `PUT /ostler/isolation`

use model::schema::format::split_list;
use model::{Error, PoolId};
use node::Settings;
use node::isolation::isolation_key;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::settings::{check_deleted, check_digest};
use crate::ops::{Op, change_options};

const OPTIONS: [&str; 3] = ["bridges", "pools", "tags"];

#[derive(Deserialize)]
struct Update {
    delete: Option<String>,
    digest: Option<String>,
    pools: Option<String>,
}

pub(super) async fn isolation_update(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    let deleted = split_list(update.delete.as_deref().unwrap_or_default());
    check_deleted(deleted, &[], &OPTIONS, &op.params)?;
    check_pools(&op, update.pools.as_deref().unwrap_or_default())?;
    let change = |settings: &mut Settings| {
        check_digest(settings, update.digest.as_deref())?;
        change_options(&op.params, &["delete", "digest"], settings);
        Ok(())
    };
    let revision = op.records.change_settings(&isolation_key(), change).await?;
    Ok(Answer::null().at(revision.0))
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
