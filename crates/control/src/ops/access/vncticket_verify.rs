//! `POST /access/vncticket`

use auth::{AuthError, acl};
use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use super::Op;
use super::ticket::privileges;

#[derive(Deserialize)]
struct Console {
    authid: String,
    path: String,
    privs: String,
    vncticket: String,
    port: Option<u16>,
}

/// For a console's server, which checks whether the connecting user may use the console.
pub(super) async fn vncticket_verify(op: Op) -> Result<Answer, Error> {
    let console: Console = op
        .params()
        .map_err(|_| Error::from(AuthError::BadVncTicket))?;
    let path = acl::normalize(&console.path).ok_or(AuthError::BadVncTicket)?;
    let authority = &op.context.authority;
    let who = authority.verify_console(&console.authid, &path, console.port, &console.vncticket)?;
    let access = authority.access();
    access
        .view(&who, authority.now())
        .require(&path, &privileges(&console.privs))?;
    Ok(Answer::null())
}
