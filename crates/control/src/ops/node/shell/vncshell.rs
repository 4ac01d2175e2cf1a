//! `POST /nodes/{node}/vncshell`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use super::reserve;
use crate::ops::{Op, console};

#[derive(Deserialize)]
struct Display {
    websocket: Option<bool>,
}

pub(super) async fn vncshell(op: Op) -> Result<Answer, Error> {
    let Display { websocket } = op.params()?;
    let password = console::new_password()?;
    let answer = reserve(&op, Some(password.clone())).await?;
    console::with_password(&op, answer, password, websocket == Some(true)).await
}
