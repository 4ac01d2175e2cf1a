//! `POST /ostler/cluster/dissolve`

use model::Error;
use node::membership::Roster;
use node::tasks::ClusterDissolve;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn dissolve(op: Op) -> Result<Answer, Error> {
    let name = &op.context.node.name;
    Roster::read(&*op.context.store).await?.check_alone(name)?;
    op.context
        .submit(&op, name, ClusterDissolve::default())
        .await
}
