//! `GET /access/users/{userid}/token`

use model::{Error, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

use super::Op;
use super::tokens::row;

#[derive(Deserialize)]
struct Owner {
    userid: UserId,
}

pub(super) async fn token_list(op: Op) -> Result<Answer, Error> {
    let Owner { userid } = op.params()?;
    let access = op.context.authority.access();
    if access.user(&userid).is_none() {
        return Err(Error::not_found(format!("no such user ('{userid}')")));
    }
    let rows = access
        .tokens_of(&userid)
        .map(|(name, token)| row(name, token));
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
