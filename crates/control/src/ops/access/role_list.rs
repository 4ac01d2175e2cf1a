//! `GET /access/roles`

use auth::roles as built_in;
use model::Error;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;

pub(super) async fn role_list(op: Op) -> Result<Answer, Error> {
    let access = op.context.authority.access();
    let custom = access.custom_roles().map(|role| (role.as_str(), 0));
    let rows = built_in::BUILT_IN
        .iter()
        .map(|name| (*name, 1))
        .chain(custom);
    let rows = rows.map(|(name, special)| {
        let privileges = access.role(name).unwrap_or_default();
        json!({"roleid": name, "privs": built_in::join(privileges), "special": special})
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
