//! `GET /access/tfa/{userid}`

use model::Error;
use proto::wire::Answer;

use super::tfa::{Named, entries};
use super::{Op, check_user};

pub(super) async fn tfa_user(op: Op) -> Result<Answer, Error> {
    let Named { userid } = op.params()?;
    check_user(&op, &userid)?;
    Ok(Answer::new(entries(
        &op.context.authority.factors(&userid).await?,
    )))
}
