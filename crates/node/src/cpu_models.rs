//! Processor models of the cluster's own: a model of QEMU's with other flags and properties, under
//! a name that guests use as `cpu: custom-NAME`.

use guest::qemu::VmConfig;
use model::qemu::{Cpu, custom_cpu_name};
use model::{Error, GuestConfig, GuestRecord, PendingChange, VmId};
use serde_json::Value;
use store::{Key, Prefix};

use crate::{Records, Settings};

/// The key of a model's record.
pub fn cpu_model_key(name: &str) -> Result<Key, Error> {
    let key = Key::new(format!("cpu-model/{name}"));
    key.map_err(|_| Error::invalid("cputype", "the name is too long"))
}

impl Records {
    /// All models, by name.
    pub async fn cpu_models(&self) -> Result<Vec<(String, Settings)>, Error> {
        let prefix = Prefix::below("cpu-model").expect("a constant that is a key");
        self.all_settings(&prefix).await
    }

    pub async fn cpu_model(&self, name: &str) -> Result<Settings, Error> {
        let model = self.kept_settings(&cpu_model_key(name)?).await?;
        model.ok_or_else(|| no_cpu_model(name))
    }

    /// The guests of all nodes that use a model, now, after their next start or at a snapshot.
    pub async fn guests_with_cpu_model(&self, name: &str) -> Result<Vec<VmId>, Error> {
        let mut users = Vec::new();
        for guest in self.guests().await? {
            let guest = guest?;
            if uses(&guest, name) {
                users.push(guest.vmid);
            }
        }
        Ok(users)
    }

    /// A configuration with its processor made from the cluster's own model, if it names one.
    pub async fn with_cpu_model(&self, mut config: VmConfig) -> Result<VmConfig, Error> {
        if let Some(name) = config.cpu.custom_name() {
            let model = self.cpu_model(name).await?;
            config.cpu = config.cpu.made_from(processor(&model)?);
        }
        Ok(config)
    }
}

/// There is no such model.
pub fn no_cpu_model(name: &str) -> Error {
    Error::not_found(format!("Custom cputype '{name}' not found"))
}

/// A model's record as a processor.
pub fn processor(model: &Settings) -> Result<Cpu, Error> {
    let text = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => u8::from(*flag).to_string(),
            other => other.to_string(),
        };
        match name.as_str() {
            "level" => None,
            "reported-model" => Some(format!("cputype={value}")),
            name => Some(format!("{name}={value}")),
        }
    };
    let keys: Vec<String> = model.options.iter().filter_map(text).collect();
    let level = model.options.get("level").and_then(Value::as_u64);
    let parsed = Cpu::parse(&keys.join(",")).map_err(|error| Error::bug(error.to_string()))?;
    Ok(Cpu {
        level: level.and_then(|level| u32::try_from(level).ok()),
        ..parsed
    })
}

fn uses(guest: &GuestRecord, name: &str) -> bool {
    let is_it = |cpu: &str| {
        let model = Cpu::parse(cpu).ok().and_then(|cpu| cpu.model);
        model.as_deref().and_then(custom_cpu_name) == Some(name)
    };
    let in_config = |config: &GuestConfig| config.text("cpu").is_some_and(|cpu| is_it(&cpu));
    let waits = match guest.pending.get("cpu") {
        Some(PendingChange::Set(value)) => value.as_str().is_some_and(is_it),
        Some(PendingChange::Delete { .. }) | None => false,
    };
    let mut snapshots = guest.snapshots.values();
    waits || in_config(&guest.config) || snapshots.any(|snapshot| in_config(&snapshot.config))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_guest_goes_before_the_model_that_it_uses() {
        let mut model = Settings::default();
        for (name, value) in [
            ("reported-model", json!("Westmere")),
            ("flags", json!("+aes;-pcid")),
            ("hidden", json!(true)),
            ("level", json!(13)),
            ("phys-bits", json!("host")),
        ] {
            model.options.insert(name.to_owned(), value);
        }
        let guest = Cpu::parse("custom-my,flags=+pcid;+ssbd,hidden=0").unwrap();
        assert_eq!(guest.custom_name(), Some("my"));
        let made = guest.made_from(processor(&model).unwrap());
        assert_eq!((made.level, made.hidden), (Some(13), Some(false)));
        assert_eq!(
            made.print(),
            "Westmere,flags=+aes;+pcid;+ssbd,hidden=0,phys-bits=host"
        );
    }
}
