//! Settings of the cluster and of nodes: options that are kept as they were given.

use std::collections::BTreeMap;
use std::ops::Range;

use ipnet::IpNet;
use model::schema::format::split_list;
use model::schema::parse_properties;
use model::{Error, NodeName, Record};
use proto::table::{BWLIMIT, MIGRATION, NEXT_ID, TAG_STYLE};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Commit, Entry, Key, Precondition, Prefix, Revision, StoreError, list_all};

use crate::records::unreadable;
use crate::{Records, text_digest};

/// The vendor part of hardware addresses that are made up, by default.
const MAC_PREFIX: &str = "BC:24:11";

/// The keyboard of a cluster that is not configured.
const KEYBOARD: &str = "en-us";

/// The numbers that new guests get by default.
const VMIDS: Range<u32> = 100..1_000_000;

/// Where the settings of the whole cluster are.
pub fn cluster_options_key() -> Key {
    Key::new("cluster/options").expect("a constant that is a key")
}

/// Where the settings of a node are.
pub fn node_config_key(node: &NodeName) -> Key {
    Key::new(format!("node/{node}/config")).expect("a node's name is a word of a key")
}

/// Options by name, each as its GET shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(default)]
    pub options: BTreeMap<String, Value>,
}

/// The limit in KiB/s for an operation in an option `bwlimit`: its own, else the one for all.
pub fn bandwidth(limits: &str, operation: &str) -> Option<f64> {
    let limits = parse_properties(BWLIMIT, limits).ok()?;
    limits
        .number(operation)
        .or_else(|| limits.number("default"))
}

impl Settings {
    fn text(&self, option: &str) -> Option<&str> {
        self.options.get(option)?.as_str()
    }

    /// SHA-1, in hexadecimal, of what is set.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.options {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text_digest(text.as_bytes())
    }

    /// What hardware addresses that are made up begin with: one to three octets.
    pub fn mac_prefix(&self) -> &str {
        self.text("mac_prefix")
            .unwrap_or(MAC_PREFIX)
            .trim_end_matches(':')
    }

    /// How much of a node's memory may be used before guests give some back, in percent.
    pub fn ballooning_target(&self) -> Option<u64> {
        self.options.get("ballooning-target")?.as_u64()
    }

    /// How many guests are started or stopped at the same time.
    pub fn max_workers(&self) -> Option<usize> {
        let workers = self.options.get("max_workers")?.as_u64()?;
        usize::try_from(workers).ok()
    }

    /// Where downloads go through.
    pub fn http_proxy(&self) -> Option<&str> {
        self.text("http_proxy").filter(|proxy| !proxy.is_empty())
    }

    /// The limit in KiB/s for `clone`, `move` and so on.
    pub fn bandwidth(&self, operation: &str) -> Option<f64> {
        bandwidth(self.text("bwlimit")?, operation)
    }

    /// The network that guests move over.
    pub fn migration_network(&self) -> Option<IpNet> {
        let migration = parse_properties(MIGRATION, self.text("migration")?).ok()?;
        migration.text("network")?.parse().ok()
    }

    /// How long a node waits after its boot before its guests are started.
    pub fn onboot_delay_s(&self) -> u64 {
        let delay = self.options.get("startall-onboot-delay");
        delay.and_then(Value::as_u64).unwrap_or(0)
    }

    /// The numbers that new guests get.
    pub fn vmids(&self) -> Range<u32> {
        let keys = self
            .text("next-id")
            .and_then(|text| parse_properties(NEXT_ID, text).ok());
        let bound = |name: &str, default: u32| {
            let number = keys.as_ref().and_then(|keys| keys.integer(name));
            number
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(default)
        };
        bound("lower", VMIDS.start)..bound("upper", VMIDS.end)
    }

    /// A guest's tags as they are kept, whatever the caller parted them with: each once, in the
    /// cluster's order. Capitals count only where the cluster says so.
    pub fn unique_tags(&self, tags: &str) -> String {
        let style = self
            .text("tag-style")
            .and_then(|text| parse_properties(TAG_STYLE, text).ok())
            .unwrap_or_default();
        let mut unique = Vec::new();
        for tag in split_list(tags) {
            let tag = match style.flag("case-sensitive") {
                Some(true) => tag.to_owned(),
                _ => tag.to_lowercase(),
            };
            if !unique.contains(&tag) {
                unique.push(tag);
            }
        }
        if style.text("ordering") != Some("config") {
            unique.sort_unstable();
        }
        unique.join(";")
    }
}

impl Records {
    /// Settings, empty where there are none, with the commit that last wrote them.
    async fn settings_entry(
        &self,
        key: &Key,
    ) -> Result<(Record<Settings>, Option<Revision>), Error> {
        let (entry, _) = self.store().get(key, self.read()).await?;
        match entry {
            None => Ok((Record::new(Settings::default()), None)),
            Some(entry) => {
                let record = Record::decode(&entry.value).map_err(unreadable)?;
                Ok((record, Some(entry.modified)))
            }
        }
    }

    /// Settings that are an object of their own, if there is such an object.
    pub(crate) async fn kept_settings(&self, key: &Key) -> Result<Option<Settings>, Error> {
        let (record, modified) = self.settings_entry(key).await?;
        Ok(modified.map(|_| record.data))
    }

    /// All such objects below a prefix, by the last word of their keys.
    pub(crate) async fn all_settings(
        &self,
        prefix: &Prefix,
    ) -> Result<Vec<(String, Settings)>, Error> {
        let (entries, _) = list_all(&**self.store(), prefix, self.read()).await?;
        let read = |entry: &Entry| {
            let name = entry.key.as_str().rsplit('/').next().unwrap_or_default();
            let record = Record::<Settings>::decode(&entry.value).map_err(unreadable)?;
            Ok((name.to_owned(), record.data))
        };
        entries.iter().map(read).collect()
    }

    /// Adds such an object. None if there is one.
    pub async fn add_settings(
        &self,
        key: &Key,
        settings: Settings,
    ) -> Result<Option<Revision>, Error> {
        let value = Record::new(settings).encode().map_err(unreadable)?;
        let commit = Commit::new()
            .when(Precondition::Absent(key.clone()))
            .put(key.clone(), value);
        match self.store().commit(commit).await {
            Err(StoreError::Conflict { .. }) => Ok(None),
            result => Ok(Some(result?)),
        }
    }

    /// Removes such an object, if it is there.
    pub async fn remove_settings(&self, key: &Key) -> Result<Revision, Error> {
        Ok(self
            .store()
            .commit(Commit::new().delete(key.clone()))
            .await?)
    }

    /// Changes such an object, as `change_settings` does. `missing` is the error if there is none.
    pub async fn update_settings(
        &self,
        key: &Key,
        missing: impl Fn() -> Error,
        change: impl Fn(&mut Settings) -> Result<(), Error>,
    ) -> Result<Revision, Error> {
        // Every such object has an option that cannot be removed.
        let change = |settings: &mut Settings| match settings.options.is_empty() {
            true => Err(missing()),
            false => change(settings),
        };
        self.change_settings(key, change).await
    }

    pub async fn settings(&self, key: &Key) -> Result<Settings, Error> {
        Ok(self.settings_entry(key).await?.0.data)
    }

    /// The settings of the whole cluster. One of which nothing was ever set has a keyboard.
    pub async fn cluster_options(&self) -> Result<Settings, Error> {
        let (record, modified) = self.settings_entry(&cluster_options_key()).await?;
        let mut settings = record.data;
        if modified.is_none() {
            let keyboard = ("keyboard".to_owned(), KEYBOARD.into());
            settings.options.extend([keyboard]);
        }
        Ok(settings)
    }

    /// Changes settings. `change` may be called several times, each time on the newest ones;
    /// what it refuses is not written.
    pub async fn change_settings(
        &self,
        key: &Key,
        mut change: impl FnMut(&mut Settings) -> Result<(), Error>,
    ) -> Result<Revision, Error> {
        loop {
            let (mut record, modified) = self.settings_entry(key).await?;
            change(&mut record.data)?;
            let unchanged = match modified {
                Some(modified) => Precondition::ModifiedAt(key.clone(), modified),
                None => Precondition::Absent(key.clone()),
            };
            let value = record.encode().map_err(unreadable)?;
            match self
                .store()
                .commit(Commit::new().when(unchanged).put(key.clone(), value))
                .await
            {
                Err(StoreError::Conflict { .. }) => {}
                result => return Ok(result?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_a_default() {
        let mut settings = Settings::default();
        assert_eq!(
            (settings.mac_prefix(), settings.vmids()),
            ("BC:24:11", 100..1_000_000)
        );
        settings
            .options
            .insert("mac_prefix".into(), "02:00:".into());
        settings
            .options
            .insert("next-id".into(), "lower=500".into());
        assert_eq!(
            (settings.mac_prefix(), settings.vmids()),
            ("02:00", 500..1_000_000)
        );
        settings
            .options
            .insert("next-id".into(), "lower=200,upper=300".into());
        assert_eq!(settings.vmids(), 200..300);
    }

    #[test]
    fn a_limit_for_one_kind_of_work_goes_before_the_one_for_all() {
        let mut settings = Settings::default();
        assert_eq!(settings.bandwidth("clone"), None);
        let limits = "clone=100,default=50.5";
        settings.options.insert("bwlimit".into(), limits.into());
        assert_eq!(settings.bandwidth("clone"), Some(100.0));
        assert_eq!(settings.bandwidth("move"), Some(50.5));
        for (option, value) in [("max_workers", 3), ("startall-onboot-delay", 7)] {
            settings.options.insert(option.into(), value.into());
        }
        assert_eq!(
            (settings.max_workers(), settings.onboot_delay_s()),
            (Some(3), 7)
        );
        let migration = "secure,network=10.1.0.0/24";
        settings
            .options
            .insert("migration".into(), migration.into());
        assert_eq!(settings.migration_network(), "10.1.0.0/24".parse().ok());
        settings.options.insert("http_proxy".into(), "".into());
        assert_eq!(settings.http_proxy(), None);
    }

    #[test]
    fn tags_are_kept_once_and_in_order() {
        let mut settings = Settings::default();
        assert_eq!(settings.unique_tags("web,Blue;blue  lab"), "blue;lab;web");
        assert_eq!(settings.unique_tags(""), "");
        let style = "ordering=config,case-sensitive=1";
        settings.options.insert("tag-style".into(), style.into());
        assert_eq!(settings.unique_tags("web,Blue;blue,web"), "web;Blue;blue");
    }
}
