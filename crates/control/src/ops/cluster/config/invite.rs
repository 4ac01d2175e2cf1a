//! `POST /ostler/cluster/invitations`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::totem;
use crate::ops::Op;

#[derive(Deserialize)]
struct Invite {
    /// Seconds.
    lifetime: Option<i64>,
}

const LIFETIME_S: i64 = 3600;

/// `information` is the text that Proxmox VE's dialogs exchange, with the token added.
pub(super) async fn invite(op: Op) -> Result<Answer, Error> {
    let Invite { lifetime } = op.params()?;
    let none = || Error::conflict("this node is in no cluster: create one first");
    let cluster = op.records.cluster().await?.ok_or_else(none)?;
    let node = &op.context.node;
    let own = node.cluster.members.get(&node.name);
    let own = own.ok_or_else(|| Error::unavailable("this node has no record of itself"))?;
    let now = op.context.clock.wall();
    let expires = now + lifetime.unwrap_or(LIFETIME_S);
    let token = node::membership::invite(&**op.records.store(), now, expires).await?;
    let information = json!({
        "ipAddress": own.link(),
        "fingerprint": own.api_fingerprint,
        "peerLinks": {"0": own.link()},
        "ring_addr": [own.link()],
        "totem": totem::of(&cluster),
        "token": token,
    });
    Ok(Answer::new(json!({
        "expires": expires,
        "fingerprint": own.api_fingerprint,
        "hostname": own.link(),
        "information": STANDARD.encode(information.to_string()),
        "token": token,
    })))
}
