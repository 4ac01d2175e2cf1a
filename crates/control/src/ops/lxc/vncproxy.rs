//! `POST /nodes/{node}/lxc/{vmid}/vncproxy`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use super::console::reserve;
use crate::ops::{Op, console};

#[derive(Deserialize)]
struct Display {
    websocket: Option<bool>,
}

pub(super) async fn vncproxy(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Display { websocket } = op.params()?;
    let password = console::new_password()?;
    let answer = reserve(&op, vmid, Some(password.clone())).await?;
    console::with_password(&op, answer, password, websocket == Some(true)).await
}
