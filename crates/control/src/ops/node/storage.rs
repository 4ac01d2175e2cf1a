//! The space of a storage, as its operations show it.

use model::Error;
use node::StorageEntry;
use serde_json::{Map, Value, json};
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
    entry: &StorageEntry,
    with_formats: bool,
) -> Map<String, Value> {
    let config = &entry.config;
    let is_enabled = config.is_enabled_on(&context.node.name);
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", config.spec.kind().as_str().into());
    put("content", content_text(config).into());
    put("shared", u8::from(config.spec.is_shared()).into());
    put("enabled", u8::from(is_enabled).into());
    if with_formats {
        let supported = config.spec.formats().iter();
        let supported: Vec<&str> = supported.map(|format| format.as_str()).collect();
        let default = config.spec.default_format().as_str();
        put(
            "formats",
            json!({"default": default, "supported": supported}),
        );
    }
    let status = match is_enabled {
        true => found(&*context.node.drivers.of(entry)).await,
        false => None,
    };
    put("active", u8::from(status.is_some()).into());
    if is_enabled && status.is_none() {
        let since = context.node.status.unreachable_since(config.id());
        let since = since.unwrap_or_else(|| context.node.clock.wall());
        put("unreachable-since", since.into());
    }
    let status = status.unwrap_or_default();
    put("total", status.total.into());
    put("used", status.used.into());
    put("avail", status.available.into());
    fields
}

async fn found(storage: &dyn storage::Storage) -> Option<SpaceUsage> {
    let measured = async {
        storage.activate().await?;
        storage.status().await
    };
    match measured.await {
        Ok(space) => Some(space),
        Err(error) => {
            let error = Error::chain(&error);
            tracing::warn!(storage = %storage.config().id(), error, "a storage cannot be used");
            None
        }
    }
}
