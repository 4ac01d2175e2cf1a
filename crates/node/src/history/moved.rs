//! Guests that came from other nodes: their history follows them.
//!
//! A migration does not wait for it. The new owner asks all other members for what they have, adds it
//! to what it has recorded since, and asks them to remove theirs. A member that does not answer is
//! asked again, until each has answered once.

use std::time::Duration;

use ::history::Object;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::schema::Values;
use model::{Error, NodeName, UnixTime, VmId, with_timeout};
use proto::wire::Answer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use crate::NodeContext;

/// The request between agents. It is not in the operation table, and no caller can send it.
pub const OP: &str = "agent/history";

/// How long a member may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    vmid: VmId,
    created: UnixTime,
    /// The asking node has it now: the other one removes its own.
    #[serde(default)]
    taken: bool,
}

/// Brings histories together as guests arrive. Never returns.
pub(super) async fn follow(node: &NodeContext) {
    loop {
        node.history.some_moved.notified().await;
        let guests = std::mem::take(&mut *node.history.moved());
        for vmid in guests {
            if let Err(error) = node.bring_together(vmid).await {
                warn!(%vmid, %error, "a guest's history is not complete");
            }
        }
    }
}

impl NodeContext {
    async fn bring_together(&self, vmid: VmId) -> Result<(), Error> {
        let Some(known) = self.history.guests.all().get(&vmid).copied() else {
            return Ok(());
        };
        let members = self.cluster.members.all();
        let mut is_complete = true;
        for other in members.keys().filter(|name| **name != self.name) {
            let taken = self.take_history(other, vmid, known.origin.created);
            let taken = with_timeout(&*self.clock, PATIENCE, taken).await;
            let late = || Err(Error::unavailable("it did not answer in time"));
            if let Err(error) = taken.unwrap_or_else(late) {
                debug!(%vmid, %other, %error, "has not given its part of a guest's history");
                is_complete = false;
            }
        }
        match is_complete {
            true => self.history.files.settle(vmid, known.origin).await,
            false => Ok(()),
        }
    }

    async fn take_history(
        &self,
        from: &NodeName,
        vmid: VmId,
        created: UnixTime,
    ) -> Result<(), Error> {
        let ask = async |taken| {
            let asked = Asked {
                vmid,
                created,
                taken,
            };
            self.cluster.agents.ask(from, OP, params(&asked)).await
        };
        let Value::String(file) = ask(false).await? else {
            return Ok(());
        };
        let file = BASE64_STANDARD.decode(file);
        let file = file.map_err(|error| Error::unavailable(format!("a history: {error}")))?;
        self.history.files.import(vmid, created, &file).await?;
        info!(%vmid, node = %from, "a guest's history has come");
        ask(true).await?;
        Ok(())
    }

    /// Answers the agent of another member, which `from` is by its connection: only a guest's owner
    /// gets its history.
    pub async fn answer_owner(&self, from: &NodeName, params: &Values) -> Result<Answer, Error> {
        let asked: Asked = serde_json::from_value(params.clone().into())
            .map_err(|error| Error::bug(format!("a question about a history: {error}")))?;
        // The owner has just committed that it is: its own copy may be ahead of this node's.
        let guest = self.records.find(asked.vmid).await?;
        let guest = guest.map(|entry| entry.record.data);
        if !guest.is_some_and(|guest| guest.node == *from && guest.created == asked.created) {
            let text = format!("VM {} is not known to be on '{from}'", asked.vmid);
            return Err(Error::conflict(text));
        }
        if asked.taken {
            self.history
                .files
                .forget(&Object::Guest(asked.vmid))
                .await?;
            return Ok(Answer::null());
        }
        let file = self.history.files.export(asked.vmid, asked.created).await?;
        Ok(Answer::new(json!(
            file.map(|file| BASE64_STANDARD.encode(file))
        )))
    }
}

fn params(asked: &Asked) -> Values {
    match json!(asked) {
        Value::Object(params) => params,
        _ => Values::new(),
    }
}
