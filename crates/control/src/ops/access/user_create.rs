//! `POST /access/users`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::users::Params;

pub(super) async fn user_create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let change = params.change()?;
    let authority = &op.context.authority;
    let password = match &params.password {
        None => None,
        Some(_) if !edit::passwords::is_kept_here(&authority.access(), &params.userid) => {
            let reason = format!(
                "realm '{}' keeps its passwords itself",
                params.userid.realm()
            );
            return Err(Error::invalid("password", reason));
        }
        Some(password) => Some(authority.hash_password(password).await?),
    };
    let revision = authority
        .change(|access| edit::users::create(access, &params.userid, &change, password.as_ref()))
        .await
        .map_err(|error| error.during("create user failed"))?;
    Ok(Answer::null().at(revision.0))
}
