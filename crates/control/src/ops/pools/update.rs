//! `PUT /pools`

use auth::edit;
use auth::edit::pools::PoolChange;
use model::Error;
use model::schema::format::split_list;
use proto::wire::Answer;

use super::{Params, guests};
use crate::ops::Op;

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let change = PoolChange {
        guests: guests(params.vms.as_deref()),
        storages: names(params.storage.as_deref()),
        comment: params.comment,
        delete: params.delete.unwrap_or(false),
        allow_move: params.allow_move.unwrap_or(false),
    };
    let (who, authority) = (op.identity()?, &op.context.authority);
    let revision = authority
        .change(|access| {
            let by = access.view(who, authority.now());
            edit::pools::update(access, &params.poolid, &change, &by)
        })
        .await
        .map_err(|error| error.during("update pools failed"))?;
    Ok(Answer::null().at(revision.0))
}

fn names(list: Option<&str>) -> Vec<String> {
    split_list(list.unwrap_or_default())
        .map(str::to_owned)
        .collect()
}
