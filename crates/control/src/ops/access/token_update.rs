//! `PUT /access/users/{userid}/token/{tokenid}`

use auth::{edit, new_token_secret};
use model::Error;
use proto::wire::Answer;

use super::tokens::{Params, shown};
use super::{Op, guard_root};

pub(super) async fn token_update(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    params.token(&op.context.authority.access())?;
    let change = params.change()?;
    let secret = params.regenerate.unwrap_or(false).then(new_token_secret);
    let kept = secret.as_ref().map(|(_, kept)| kept);
    let authority = &op.context.authority;
    let revision = authority
        .change(|access| {
            edit::tokens::update(access, &params.userid, &params.tokenid, &change, kept)
        })
        .await
        .map_err(|error| error.during("updating token info failed"))?;
    let access = authority.access();
    let gone = || Error::conflict(format!("token '{}' was removed meanwhile", params.label()));
    let token = access.token(&params.userid, &params.tokenid);
    let mut data = shown(token.ok_or_else(gone)?);
    if let Some(privsep) = params.privsep {
        // In the form in which it was sent.
        data["privsep"] = u8::from(privsep).to_string().into();
    }
    if let Some((secret, _)) = secret {
        data["full-tokenid"] = params.label().into();
        data["value"] = secret.into();
    }
    Ok(Answer::new(data).at(revision.0))
}
