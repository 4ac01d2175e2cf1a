//! The space of a storage, as its operations show it.

use model::Error;
use serde_json::{Map, Value, json};
use storage::StorageConfig;
use sys::SpaceUsage;

use crate::Context;
use crate::ops::storage::options::content_text;

/// Proxmox VE's text; it reports the name as an invalid parameter.
pub(super) fn no_such_storage() -> Error {
    Error::invalid("storage", "No such storage.")
}

/// The observed state of a storage. One that cannot be used is shown as not active.
pub(super) async fn observed(
    context: &Context,
    config: StorageConfig,
    with_formats: bool,
) -> Map<String, Value> {
    let is_enabled = config.is_enabled_on(&context.node.name);
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", config.kind.as_str().into());
    put("content", content_text(&config).into());
    put("shared", u8::from(config.shared == Some(true)).into());
    put("enabled", u8::from(is_enabled).into());
    let storage = storage::open(config, context.node.host.clone());
    if with_formats {
        let formats = json!({"default": storage.default_format().as_str(), "supported": SUPPORTED});
        put("formats", formats);
    }
    let space = if is_enabled {
        usage(&*storage).await
    } else {
        None
    };
    put("active", u8::from(space.is_some()).into());
    let space = space.unwrap_or_default();
    put("total", space.total.into());
    put("used", space.used.into());
    put("avail", space.available.into());
    fields
}

/// The image formats of a directory storage.
pub(super) const SUPPORTED: [&str; 3] = ["raw", "qcow2", "vmdk"];

pub(super) async fn usage(storage: &dyn storage::Storage) -> Option<SpaceUsage> {
    let measured = async {
        storage.activate().await?;
        storage.space().await
    };
    match measured.await {
        Ok(space) => Some(space),
        Err(error) => {
            let error = Error::chain(&error);
            tracing::warn!(storage = %storage.config().id, error, "a storage cannot be used");
            None
        }
    }
}
