//! What a guest's processor can have on a host: QEMU's own answer, for one accelerator.

use std::collections::{BTreeMap, BTreeSet};

use model::qemu::CPU_MODELS;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Accel;
use super::cpu::{LEVELS, level_flags, plain_name};

/// Written to a QEMU that `arguments` start; it answers and ends.
pub const QUESTIONS: &str = r#"{"execute": "qmp_capabilities"}
{"execute": "query-cpu-model-expansion", "id": "most", "arguments": {"type": "static", "model": {"name": "max"}}}
{"execute": "query-cpu-definitions", "id": "models"}
{"execute": "quit"}
"#;

/// The model that the levels are made from.
const BASE: &str = "qemu64";

/// Flags that a guest's configuration may add to a level, in the order in which they are offered.
const ADDED: [&str; 8] = [
    "pcid",
    "spec-ctrl",
    "ssbd",
    "ibpb",
    "amd-ssbd",
    "amd-no-ssb",
    "pdpe1gb",
    "md-clear",
];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("QEMU does not say what a processor can have here: {0}")]
pub struct AbilitiesError(String);

/// Everything that the processor of a guest can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuAbilities {
    pub accel: Accel,
    /// As the guest sees it; empty for hosts of different vendors.
    pub vendor: String,
    /// By QEMU's names.
    pub flags: BTreeSet<String>,
    /// The CPU types of guests that lack nothing, without `host` and `max`.
    pub models: BTreeSet<String>,
}

/// Of a QEMU without a machine.
pub fn arguments(accel: Accel) -> Vec<String> {
    let machine = format!("none,accel={}", accel.as_str());
    let arguments = [
        "-nodefaults",
        "-no-user-config",
        "-machine",
        &machine,
        "-display",
        "none",
        "-qmp",
        "stdio",
    ];
    arguments.map(str::to_owned).into()
}

impl CpuAbilities {
    /// Reads the answers to `QUESTIONS`.
    pub fn read(accel: Accel, answers: &str) -> Result<Self, AbilitiesError> {
        let missing = |what: &str| AbilitiesError(format!("no {what} in its answers"));
        let answers = answers
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let by_id = |answer: Value| Some((answer["id"].as_str()?.to_owned(), answer));
        let answers: BTreeMap<String, Value> = answers.filter_map(by_id).collect();
        let answered = |id: &str| {
            let answer = answers.get(id).ok_or_else(|| missing(id))?;
            match answer["error"]["desc"].as_str() {
                Some(why) => Err(AbilitiesError(why.to_owned())),
                None => Ok(&answer["return"]),
            }
        };
        let most = &answered("most")?["model"]["props"];
        let vendor = most["vendor"].as_str().ok_or_else(|| missing("vendor"))?;
        let flags = flags_in(most);
        let rows = answered("models")?.as_array();
        let rows = rows.ok_or_else(|| missing("models"))?.iter();
        let lacks_nothing = |row: &&Value| {
            let lacking = row["unavailable-features"].as_array();
            lacking.is_some_and(Vec::is_empty)
        };
        let usable: BTreeSet<&str> = rows
            .filter(lacks_nothing)
            .filter_map(|row| row["name"].as_str())
            .collect();
        let is_given = |name: &str| match level_flags(name) {
            Some(mut level) => usable.contains(BASE) && level.all(|flag| flags.contains(&flag)),
            None => usable.contains(name) && !["host", "max"].contains(&name),
        };
        let models = CPU_MODELS.iter().map(|(name, _)| *name);
        let models = models.filter(|name| is_given(name)).map(str::to_owned);
        Ok(Self {
            accel,
            vendor: vendor.to_owned(),
            models: models.collect(),
            flags,
        })
    }

    /// What all of them can give; none of none.
    pub fn common<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut all = all.into_iter();
        let mut common = all.next()?.clone();
        for other in all {
            common.flags = &common.flags & &other.flags;
            common.models = &common.models & &other.models;
            if common.vendor != other.vendor {
                common.vendor.clear();
            }
        }
        Some(common)
    }

    /// The best CPU type of a guest that all of this is enough for, without additions.
    pub fn level(&self) -> &'static str {
        let levels = LEVELS.iter().rev().map(|(name, _)| *name);
        let mut given = levels.filter(|name| self.models.contains(*name));
        given.next().unwrap_or(match self.accel {
            Accel::Kvm => "kvm64",
            Accel::Tcg => BASE,
        })
    }

    /// A guest's option `cpu` with as much of this as one can name.
    pub fn option(&self) -> String {
        let added = ADDED.iter().filter(|flag| self.flags.contains(**flag));
        let added: Vec<String> = added.map(|flag| format!("+{flag}")).collect();
        match added.is_empty() {
            true => self.level().to_owned(),
            false => format!("{},flags={}", self.level(), added.join(";")),
        }
    }
}

/// The flags that are on in an expanded model. `lmce` is a property of the machine's.
pub(super) fn flags_in(properties: &Value) -> BTreeSet<String> {
    let properties = properties.as_object().into_iter().flatten();
    let on = properties.filter(|(name, value)| **value == true && *name != "lmce");
    on.map(|(name, _)| plain_name(name)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers(flags: &[&str], usable: &[&str]) -> String {
        let mut most = json!({"vendor": "GenuineIntel", "family": 6, "lmce": true, "xop": false});
        for flag in flags {
            most[*flag] = true.into();
        }
        let models = usable.iter();
        let mut models: Vec<Value> = models
            .map(|name| json!({"name": name, "unavailable-features": []}))
            .collect();
        models.push(json!({"name": "EPYC", "unavailable-features": ["sha-ni"]}));
        let most = json!({"id": "most", "return": {"model": {"name": "base", "props": most}}});
        let models = json!({"id": "models", "return": models});
        format!("{{\"QMP\": {{}}}}\n{{\"return\": {{}}}}\n{most}\n{models}\n")
    }

    const V2: [&str; 8] = [
        "cx16", "lahf-lm", "popcnt", "pni", "sse4.1", "sse4.2", "ssse3", "aes",
    ];

    #[test]
    fn the_best_model_that_all_can_give_is_found() {
        let more = [&V2[..], &["avx", "pcid", "md-clear"]].concat();
        let models = ["qemu64", "kvm64", "max", "Westmere"];
        let one = CpuAbilities::read(Accel::Kvm, &answers(&more, &models)).unwrap();
        assert_eq!(one.option(), "x86-64-v2-AES,flags=+pcid;+md-clear");
        assert!(one.models.contains("Westmere") && !one.models.contains("EPYC"));
        assert!(!one.models.contains("max") && !one.flags.contains("lmce"));
        let less = [&V2[..7], &["pcid"]].concat();
        let other = CpuAbilities::read(Accel::Kvm, &answers(&less, &models[..3])).unwrap();
        let common = CpuAbilities::common([&one, &other]).unwrap();
        assert_eq!(common.option(), "x86-64-v2,flags=+pcid");
        assert!(!common.models.contains("Westmere"));
        let bare = CpuAbilities::read(Accel::Kvm, &answers(&[], &models)).unwrap();
        assert_eq!(bare.option(), "kvm64");
    }

    #[test]
    fn an_answer_that_is_missing_is_named() {
        let refused = r#"{"id": "most", "error": {"class": "GenericError", "desc": "no KVM"}}"#;
        let why = |text: &str| {
            CpuAbilities::read(Accel::Kvm, text)
                .unwrap_err()
                .to_string()
        };
        assert!(why(refused).ends_with("no KVM"));
        assert!(why("").ends_with("no most in its answers"));
    }
}
