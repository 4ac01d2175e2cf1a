//! `DELETE /pools`

use auth::edit::pools::Gone;
use auth::{AccessError, edit};
use model::{Error, PoolId, VmId};
use node::guest_key;
use proto::wire::Answer;
use store::limits::PRECONDITIONS_PER_COMMIT;
use store::{Precondition, Revision, StoreError};

use super::Params;
use super::members;
use crate::Context;
use crate::ops::Op;

/// How often a change is retried after a conflict.
const ATTEMPTS: usize = 10;

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Params { poolid, .. } = op.params()?;
    let revision = remove(&op.context, &poolid).await?;
    Ok(Answer::null().at(revision.0))
}

/// Removes a pool if its guests are still gone at the commit.
async fn remove(context: &Context, id: &PoolId) -> Result<Revision, Error> {
    let failed = |error: AccessError| error.during("delete pool failed");
    for _ in 0..ATTEMPTS {
        let access = context.authority.refresh(store::Read::Linear).await?;
        let gone = match access.pool(id) {
            Some(pool) => members::gone(context, pool).await?,
            None => Gone::default(),
        };
        let edit = edit::pools::delete(&access, id, &gone).map_err(failed)?;
        let mut commit = edit.into_commit(&access);
        let guests = gone.guests.iter().filter_map(|vmid| VmId::new(*vmid).ok());
        // One precondition is the edit's own. More missing guests than fit are rare.
        for vmid in guests.take(PRECONDITIONS_PER_COMMIT - 1) {
            commit = commit.when(Precondition::Absent(guest_key(vmid)));
        }
        match context.store.commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            outcome => {
                context.authority.refresh(store::Read::Linear).await?;
                return outcome.map_err(|error| failed(error.into()));
            }
        }
    }
    Err(failed(AccessError::Contended))
}
