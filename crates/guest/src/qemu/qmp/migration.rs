//! Migrations, whose target is a descriptor: a file that a guest's memory is saved in, or a connection
//! to the QEMU that the guest moves to.
//!
//! ```text
//!   none ─► active: memory is written while the guest runs
//!             └─► pre-switchover: the guest is paused, its disks are still its own
//!                   └─► completed: all is written; `cont` lets the guest run on here
//! ```

use serde_json::{Value, json};

use super::commands::unexpected;
use super::{Qmp, QmpError};

/// The state of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MigrationState {
    /// There is none, or it was cancelled.
    Idle,
    Active,
    PreSwitchover,
    Completed,
    Failed(String),
}

/// The answer of `query-migrate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub state: MigrationState,
    /// Bytes of memory written so far.
    pub written: u64,
    /// Dirty bytes still to be written.
    pub remaining: u64,
    /// Bytes of memory that the guest has.
    pub total: u64,
    /// Bytes that the guest dirties each second.
    pub dirtied_per_s: u64,
}

/// How fast a guest moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// 0 for as fast as it goes.
    pub bytes_per_s: u64,
    /// How long the guest may stand still at the end.
    pub downtime_ms: u64,
    /// The size of the cache for pages that change again.
    pub cache_bytes: u64,
}

/// No limit: the wire has no other user.
const UNLIMITED: u64 = 1 << 40;

/// What all migrations need: to be told of, and to wait before their end.
const ALWAYS: [&str; 2] = ["events", "pause-before-switchover"];

/// What only migrations of running guests use: slowing down a guest that dirties memory faster than
/// it is sent, and sending only what changed of a page.
const CONVERGE: [&str; 2] = ["auto-converge", "xbzrle"];

impl Migration {
    fn read(answer: &Value) -> Self {
        let figure = |name: &str| answer["ram"][name].as_u64().unwrap_or(0);
        let why = || {
            let text = answer["error-desc"].as_str();
            text.unwrap_or("QEMU does not say why").to_owned()
        };
        let state = match answer["status"].as_str().unwrap_or("none") {
            "none" | "cancelled" => MigrationState::Idle,
            "pre-switchover" => MigrationState::PreSwitchover,
            "completed" => MigrationState::Completed,
            "failed" => MigrationState::Failed(why()),
            _ => MigrationState::Active,
        };
        Self {
            state,
            written: figure("transferred"),
            remaining: figure("remaining"),
            total: figure("total"),
            dirtied_per_s: figure("dirty-pages-rate") * figure("page-size"),
        }
    }
}

impl Qmp {
    pub async fn migration(&self) -> Result<Migration, QmpError> {
        let answer = self.execute("query-migrate", Value::Null).await?;
        if answer.is_object() {
            Ok(Migration::read(&answer))
        } else {
            Err(unexpected("query-migrate", &answer))
        }
    }

    /// Starts to write the guest's memory to the descriptor with this name (`name_descriptor`),
    /// without a rate limit, and pauses before the last part.
    pub async fn save_memory(&self, descriptor: &str) -> Result<(), QmpError> {
        self.set_capabilities(&ALWAYS, true).await?;
        self.set_capabilities(&CONVERGE, false).await?;
        let parameters = json!({"max-bandwidth": UNLIMITED});
        self.execute("migrate-set-parameters", parameters).await?;
        self.migrate(descriptor).await
    }

    async fn migrate(&self, descriptor: &str) -> Result<(), QmpError> {
        self.execute("migrate", json!({"uri": format!("fd:{descriptor}")}))
            .await
            .map(drop)
    }

    async fn set_capabilities(&self, names: &[&str], state: bool) -> Result<(), QmpError> {
        let names = names.iter();
        let all: Vec<Value> = names
            .map(|name| json!({"capability": name, "state": state}))
            .collect();
        self.execute("migrate-set-capabilities", json!({"capabilities": all}))
            .await
            .map(drop)
    }

    /// Starts to send a running guest over the connection with this name, and pauses it before the
    /// last part.
    pub async fn send_guest(&self, descriptor: &str, pace: &Pace) -> Result<(), QmpError> {
        self.set_capabilities(&ALWAYS, true).await?;
        self.set_capabilities(&CONVERGE, true).await?;
        let bandwidth = match pace.bytes_per_s {
            0 => UNLIMITED,
            limit => limit,
        };
        let parameters = json!({
            "max-bandwidth": bandwidth,
            "downtime-limit": pace.downtime_ms,
            "xbzrle-cache-size": pace.cache_bytes,
        });
        self.execute("migrate-set-parameters", parameters).await?;
        self.migrate(descriptor).await
    }

    /// Changes the downtime limit of a migration that is active.
    pub async fn set_downtime(&self, downtime_ms: u64) -> Result<(), QmpError> {
        let parameters = json!({"downtime-limit": downtime_ms});
        self.execute("migrate-set-parameters", parameters)
            .await
            .map(drop)
    }

    /// Receives a guest from the connection with this name. QEMU was started to wait for it; it
    /// leaves the disks alone until `cont`, and ends if the guest does not come whole.
    pub async fn receive_guest(&self, descriptor: &str) -> Result<(), QmpError> {
        self.set_capabilities(&["late-block-activate"], true)
            .await?;
        let uri = format!("fd:{descriptor}");
        self.execute("migrate-incoming", json!({"uri": uri}))
            .await
            .map(drop)
    }

    /// Continues a migration that waits before its end.
    pub async fn finish_migration(&self) -> Result<(), QmpError> {
        self.execute("migrate-continue", json!({"state": "pre-switchover"}))
            .await
            .map(drop)
    }

    /// Cancels a migration; the cancellation is complete when its state shows it. No error if there
    /// is none.
    pub async fn cancel_migration(&self) -> Result<(), QmpError> {
        self.execute("migrate_cancel", Value::Null).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migrations_state_is_read() {
        let read = |answer: Value| Migration::read(&answer).state;
        assert_eq!(read(json!({})), MigrationState::Idle);
        assert_eq!(read(json!({"status": "setup"})), MigrationState::Active);
        assert_eq!(read(json!({"status": "device"})), MigrationState::Active);
        assert_eq!(
            read(json!({"status": "failed", "error-desc": "full"})),
            MigrationState::Failed("full".to_owned())
        );
        let active = json!({"status": "active", "ram": {"transferred": 7, "remaining": 9}});
        let migration = Migration::read(&active);
        assert_eq!((migration.written, migration.remaining), (7, 9));
    }
}
