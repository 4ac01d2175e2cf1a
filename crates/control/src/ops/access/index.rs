//! `GET /access`

use model::Error;
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

const SUBDIRS: [&str; 9] = [
    "users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password",
];

pub(super) async fn index(_op: Op) -> Result<Answer, Error> {
    let rows: Vec<Value> = SUBDIRS.iter().map(|name| json!({"subdir": name})).collect();
    Ok(Answer::new(rows))
}
