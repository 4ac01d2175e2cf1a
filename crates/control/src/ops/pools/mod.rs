//! `/pools`

mod members;

use auth::edit::pools::{Gone, PoolChange};
use auth::{AccessError, edit};
use model::schema::format::split_list;
use model::{Error, PoolId, Privilege, VmId};
use node::guest_key;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::limits::PRECONDITIONS_PER_COMMIT;
use store::{Precondition, Revision, StoreError};

use super::{Op, Pair, pair};
use crate::Context;

/// How often a change is tried again that another one forestalled.
const ATTEMPTS: usize = 10;

pub(super) const PAIRS: &[Pair] = &[
    pair!("pool_list", list),
    pair!("pool_create", create),
    pair!("pool_update", update),
    pair!("pool_delete", delete),
    pair!("pool_get", get),
    pair!("pool_update_by_path", update),
    pair!("pool_delete_by_path", delete),
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

#[derive(Deserialize)]
struct List {
    poolid: Option<PoolId>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// All pools that the caller audits, or the one that is named, with its members.
async fn list(op: Op) -> Result<Answer, Error> {
    let params: List = op.params()?;
    let authority = &op.context.authority;
    let access = authority.access();
    let view = access.view(op.identity()?, authority.now());
    if let Some(id) = params.poolid {
        view.require(&format!("/pool/{id}"), &[Privilege::PoolAudit])?;
        return Ok(Answer::new(vec![
            shown(&op, &id, params.kind.as_deref()).await?,
        ]));
    }
    let audited = access
        .pools()
        .filter(|(id, _)| view.has(&format!("/pool/{id}"), Privilege::PoolAudit));
    let rows = audited.map(|(id, pool)| {
        let mut row = json!({"poolid": id.as_str()});
        if !pool.comment.is_empty() {
            row["comment"] = pool.comment.as_str().into();
        }
        row
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

async fn get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    Ok(Answer::new(
        shown(&op, &params.poolid, params.kind.as_deref()).await?,
    ))
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

async fn create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let comment = params.comment.unwrap_or_default();
    let revision = op
        .context
        .authority
        .change(|access| edit::pools::create(access, &params.poolid, &comment))
        .await
        .map_err(|error| error.during("create pool failed"))?;
    Ok(Answer::null().at(revision.0))
}

async fn update(op: Op) -> Result<Answer, Error> {
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

fn guests(list: Option<&str>) -> Vec<u32> {
    split_list(list.unwrap_or_default())
        .filter_map(|vmid| vmid.parse().ok())
        .collect()
}

fn names(list: Option<&str>) -> Vec<String> {
    split_list(list.unwrap_or_default())
        .map(str::to_owned)
        .collect()
}

async fn delete(op: Op) -> Result<Answer, Error> {
    let Params { poolid, .. } = op.params()?;
    let revision = remove(&op.context, &poolid).await?;
    Ok(Answer::null().at(revision.0))
}

/// Removes a pool if its guests are still gone when that is committed.
async fn remove(context: &Context, id: &PoolId) -> Result<Revision, Error> {
    let failed = |error: AccessError| error.during("delete pool failed");
    for _ in 0..ATTEMPTS {
        let access = context.authority.refresh().await?;
        let gone = match access.pool(id) {
            Some(pool) => members::gone(context, pool).await?,
            None => Gone::default(),
        };
        let edit = edit::pools::delete(&access, id, &gone).map_err(failed)?;
        let mut commit = edit.into_commit(&access);
        let guests = gone.guests.iter().filter_map(|vmid| VmId::new(*vmid).ok());
        // One precondition is the edit's own. A pool with more that is gone than fits is rare.
        for vmid in guests.take(PRECONDITIONS_PER_COMMIT - 1) {
            commit = commit.when(Precondition::Absent(guest_key(vmid)));
        }
        match context.store.commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            outcome => {
                context.authority.refresh().await?;
                return outcome.map_err(|error| failed(error.into()));
            }
        }
    }
    Err(failed(AccessError::Contended))
}
