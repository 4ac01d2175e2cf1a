//! What the guest's processor has.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::commands::unexpected;
use super::{Qmp, QmpError};
use crate::qemu::abilities::flags_in;
use crate::qemu::cpu::{plain_name, switched};

impl Qmp {
    /// The flags that the guest's processor has, `cpu` being the argument `-cpu`: what that means to
    /// this QEMU, without what the host could not give.
    pub async fn cpu_flags(&self, cpu: &str) -> Result<BTreeSet<String>, QmpError> {
        let (model, switched) = switched(cpu);
        let switched: Value = switched.into_iter().collect();
        let model = json!({"type": "static", "model": {"name": model, "props": switched}});
        let (expanded, processors) = tokio::join!(
            self.execute("query-cpu-model-expansion", model),
            self.execute("query-cpus-fast", Value::Null),
        );
        let (expanded, processors) = (expanded?, processors?);
        let path = processors[0]["qom-path"].as_str();
        let path = path.ok_or_else(|| unexpected("query-cpus-fast", &processors))?;
        let withheld = self.property(path, "unavailable-features").await?;
        let withheld = withheld.as_array().into_iter().flatten();
        let withheld: BTreeSet<String> = withheld
            .filter_map(|name| name.as_str().map(plain_name))
            .collect();
        Ok(&flags_in(&expanded["model"]["props"]) - &withheld)
    }
}
