//! Ends an open console when its caller loses access: the token was removed or has a new secret,
//! the user was disabled or removed or has a new password, or the right was revoked.

use std::sync::Arc;
use std::time::Duration;

use ::node::Lease;
use auth::Holder;
use model::schema::Values;
use model::{Error, ErrorKind};
use proto::Row;
use tokio::task::JoinSet;

use crate::Context;
use crate::ops::Op;

/// How often an account's expiry is checked at least: the clock may be changed.
const LOOK_S: i64 = 3600;

/// An open console and its caller. Dropping it closes the console.
pub(super) struct Held {
    _lease: Lease,
    _watch: JoinSet<()>,
}

/// Keeps a console open for the operation's caller as long as the row's check passes.
pub(super) fn hold(op: &Op, row: &'static Row, lease: Lease) -> Result<Held, Error> {
    let context = op.context.clone();
    let gone = || Error::new(ErrorKind::Unauthenticated, "Authentication failed!");
    let holder = context.authority.holder(op.identity()?).ok_or_else(gone)?;
    let watch = Watch {
        context,
        holder,
        row,
        params: op.params.clone(),
        console: lease.id().to_owned(),
    };
    let mut watching = JoinSet::new();
    watching.spawn(watch.run());
    Ok(Held {
        _lease: lease,
        _watch: watching,
    })
}

struct Watch {
    context: Arc<Context>,
    holder: Holder,
    row: &'static Row,
    params: Values,
    console: String,
}

impl Watch {
    async fn run(self) {
        let mut changes = self.context.authority.changes();
        loop {
            changes.mark_unchanged();
            let Some(left) = self.may_still() else {
                tracing::info!(holder = ?self.holder, "a console was closed: its caller lost access");
                self.context.node.consoles.close(&self.console);
                return;
            };
            tokio::select! {
                // Fails never: the context keeps the authority.
                _ = changes.changed() => {}
                () = self.context.clock.sleep(left) => {}
            }
        }
    }

    /// For how long access is certain, if it is allowed now.
    fn may_still(&self) -> Option<Duration> {
        let (authority, now) = (&self.context.authority, self.context.clock.wall());
        let who = authority.still(&self.holder)?;
        let access = authority.access();
        access
            .check(&self.row.permission, &who, &self.params, now)
            .ok()?;
        let left = who.expires.saturating_sub(now).clamp(1, LOOK_S);
        Some(Duration::from_secs(left.unsigned_abs()))
    }
}
