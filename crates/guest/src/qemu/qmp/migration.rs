//! Saving a guest's memory to a file, as a migration whose target is a descriptor.
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
}

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
        let on = |capability: &str| json!({"capability": capability, "state": true});
        let capabilities = [on("events"), on("pause-before-switchover")];
        self.execute(
            "migrate-set-capabilities",
            json!({"capabilities": capabilities}),
        )
        .await?;
        // No limit: the wire has no other user.
        let parameters = json!({"max-bandwidth": 1_u64 << 40});
        self.execute("migrate-set-parameters", parameters).await?;
        self.execute("migrate", json!({"uri": format!("fd:{descriptor}")}))
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
