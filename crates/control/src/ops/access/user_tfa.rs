//! `GET /access/users/{userid}/tfa`

use model::{Error, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::{Op, check_user};

#[derive(Deserialize)]
struct Types {
    userid: UserId,
    multiple: Option<bool>,
}

pub(super) async fn user_tfa(op: Op) -> Result<Answer, Error> {
    let params: Types = op.params()?;
    check_user(&op, &params.userid)?;
    let shown = op.context.authority.factors(&params.userid).await?.shown();
    let mut kinds: Vec<&str> = shown.iter().filter(|e| e.enable).map(|e| e.kind).collect();
    kinds.dedup();
    if params.multiple.unwrap_or(false) {
        return Ok(Answer::new(json!({"user": kinds})));
    }
    // The older operation has only one kind, under its older name.
    let data = if kinds.contains(&"totp") {
        json!({"user": "oath"})
    } else {
        json!({})
    };
    Ok(Answer::new(data))
}
