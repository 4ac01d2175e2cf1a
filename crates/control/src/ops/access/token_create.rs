//! `POST /access/users/{userid}/token/{tokenid}`

use auth::{edit, new_token_secret};
use model::Error;
use proto::wire::Answer;
use serde_json::json;

use super::tokens::Params;
use super::{Op, check_user, guard_root};

pub(super) async fn token_create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    check_user(&op, &params.userid)?;
    let change = params.change()?;
    let (secret, kept) = new_token_secret();
    let revision = op
        .context
        .authority
        .change(|access| {
            edit::tokens::create(access, &params.userid, &params.tokenid, &change, &kept)
        })
        .await
        .map_err(|error| error.during("generating token failed"))?;
    let data = json!({"full-tokenid": params.label(), "info": params.info(), "value": secret});
    Ok(Answer::new(data).at(revision.0))
}
