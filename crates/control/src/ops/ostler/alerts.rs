//! `GET /ostler/alerts`

use model::{Error, Privilege};
use node::alerts::{OpenAlert, Subject};
use proto::wire::Answer;

use super::Op;

pub(super) async fn alerts(op: Op) -> Result<Answer, Error> {
    let mut rows = Vec::new();
    for open in op.context.node.all_alerts().await? {
        if may_see(&op, &open.alert.subject).await? {
            rows.push(open.row());
        }
    }
    Ok(Answer::new(rows))
}

/// An open alert that the caller may change.
pub(super) async fn changeable(op: &Op, id: &str) -> Result<OpenAlert, Error> {
    let mut all = op.context.node.all_alerts().await?.into_iter();
    let found = all.find(|open| open.alert.id == id);
    let missing = || Error::not_found(format!("no open alert '{id}'"));
    let open = found.ok_or_else(missing)?;
    if !may_see(op, &open.alert.subject).await? {
        return Err(missing());
    }
    let path = open.alert.subject.path();
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.clock.wall());
    view.require(&path, &[Privilege::SysModify])?;
    Ok(open)
}

/// Callers who may see an object see what is wrong with it.
async fn may_see(op: &Op, subject: &Subject) -> Result<bool, Error> {
    let path = subject.path();
    match subject {
        Subject::Cluster | Subject::Node(_) => op.has(&path, Privilege::SysAudit).await,
        Subject::Guest(..) => op.has(&path, Privilege::VmAudit).await,
        Subject::Storage { .. } => Ok(op.has(&path, Privilege::DatastoreAudit).await?
            || op.has(&path, Privilege::DatastoreAllocateSpace).await?),
    }
}
