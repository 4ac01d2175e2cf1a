//! `GET /access/tfa`

use model::{Error, Privilege, UserId};
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;
use super::tfa::{entries, show_locks};

const SEES: &[Privilege] = &[Privilege::UserModify, Privilege::SysAudit];

pub(super) async fn tfa_list(op: Op) -> Result<Answer, Error> {
    let authority = &op.context.authority;
    let (access, who, now) = (authority.access(), op.identity()?, authority.now());
    let all = authority.all_factors().await?;
    let view = access.view(who, now);
    let seen =
        |user: &UserId| (who.token.is_none() && who.user == *user) || view.manages_user(user, SEES);
    let rows = all
        .iter()
        .filter(|(user, _)| seen(user))
        .map(|(user, factors)| {
            let mut row = json!({"userid": user.as_str(), "entries": entries(factors)});
            show_locks(factors, now, &mut row);
            row
        });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
