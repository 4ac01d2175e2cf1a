//! `PUT /access/password`

use auth::edit;
use model::{Error, UserId};
use proto::wire::Answer;
use serde::Deserialize;

use super::{Op, check_user, confirm, guard_root};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Update {
    userid: UserId,
    password: String,
    confirmation_password: Option<String>,
}

pub(super) async fn password_update(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    guard_root(op.identity()?, &update.userid)?;
    check_user(&op, &update.userid)?;
    confirm(
        &op,
        "confirmation-password",
        update.confirmation_password.as_deref(),
    )
    .await?;
    let authority = &op.context.authority;
    let password = authority.hash_password(&update.password).await?;
    let revision = authority
        .change(|access| edit::passwords::set(access, &update.userid, &password))
        .await
        .map_err(|error| error.during("change password failed"))?;
    Ok(Answer::null().at(revision.0))
}
