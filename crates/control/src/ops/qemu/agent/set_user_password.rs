//! `POST /nodes/{node}/qemu/{vmid}/agent/set-user-password`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct SetPassword {
    username: String,
    password: String,
    crypted: Option<bool>,
}

pub(super) async fn set_user_password(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let SetPassword {
        username,
        password,
        crypted,
    } = op.params()?;
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let is_crypted = crypted == Some(true);
    let set = agent.set_user_password(&username, &password, is_crypted);
    set.await.map_err(|error| agent.failed(error))?;
    Ok(Answer::new(json!({"result": {}})))
}
