//! `GET /nodes/{node}/qemu/{vmid}/cloudinit`

use auth::{crypt, is_crypted};
use guest::qemu::VmConfig;
use model::schema::Values;
use model::{Error, GuestConfig};
use node::SeedRecord;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Guest;
use super::config::masked;
use crate::Context;
use crate::ops::Op;

/// Replaces a password in a request by the form that is stored: hashed, as in Proxmox VE, and
/// sealed. The agent for Windows needs the plain password, so for Windows it is not hashed.
pub(in crate::ops) async fn seal_password(
    context: &Context,
    options: &mut Values,
    before: &GuestConfig,
) -> Result<(), Error> {
    let Some(password) = options.get("cipassword").and_then(Value::as_str) else {
        return Ok(());
    };
    let system = options.get("ostype").and_then(Value::as_str);
    let system = system.map(str::to_owned).or_else(|| before.text("ostype"));
    let is_windows = system.is_some_and(|system| system.starts_with('w'));
    let stored = if is_windows || is_crypted(password) {
        password.to_owned()
    } else {
        crypt(password)?
    };
    let sealed = context.authority.seal(&stored).await?;
    options.insert("cipassword".to_owned(), sealed.into());
    Ok(())
}

/// A value as text, as the answer's shape requires.
pub(super) fn text(name: &str, value: &Value) -> Value {
    match masked(name, value) {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

/// The values that the medium was made of, and those of the current configuration.
pub(super) async fn cloudinit(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let records = &op.records;
    let guest = records.qemu(vmid).await?.record.data;
    let now = SeedRecord::of(&guest.config);
    let has_medium =
        VmConfig::parse(&guest.config).is_ok_and(|config| config.cloud_init_drive().is_some());
    let made = if has_medium {
        records.seed(vmid).await?.unwrap_or_default()
    } else {
        // Without a medium there are no pending values.
        now.clone()
    };
    Ok(Answer::new(rows(&made, &now)))
}

fn rows(made: &SeedRecord, now: &SeedRecord) -> Vec<Value> {
    let mut names: Vec<&String> = made.values.keys().chain(now.values.keys()).collect();
    names.sort();
    names.dedup();
    let rows = names.into_iter().map(|name| {
        let mut row = json!({"key": name});
        let (before, after) = (made.values.get(name), now.values.get(name));
        if let Some(before) = before {
            row["value"] = text(name, before);
        }
        match after {
            None => row["delete"] = 1.into(),
            Some(after) if before != Some(after) => row["pending"] = text(name, after),
            Some(_) => {}
        }
        row
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(options: Value) -> SeedRecord {
        let Value::Object(options) = options else {
            panic!("an object")
        };
        SeedRecord::of(&GuestConfig(options.into_iter().collect()))
    }

    #[test]
    fn changes_since_the_medium_was_made_are_told_apart() {
        let made = seed(json!({
            "name": "web", "ciuser": "lab", "nameserver": "10.0.0.1", "cipassword": "sealed:1:a",
            "memory": "512"
        }));
        let now = seed(json!({
            "name": "web", "ciuser": "root", "ciupgrade": 0, "cipassword": "sealed:1:b",
            "memory": "1024"
        }));
        let wanted = json!([
            {"key": "cipassword", "value": "**********", "pending": "**********"},
            {"key": "ciupgrade", "pending": "0"},
            {"key": "ciuser", "value": "lab", "pending": "root"},
            {"key": "name", "value": "web"},
            {"key": "nameserver", "value": "10.0.0.1", "delete": 1},
        ]);
        assert_eq!(Value::from(rows(&made, &now)), wanted);
    }
}
