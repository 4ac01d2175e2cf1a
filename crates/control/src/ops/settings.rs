//! Changes of settings by PUT: parameters are set, options named in `delete` are removed.

use model::schema::Values;
use model::schema::format::split_list;
use model::{Error, Privilege};
use node::Settings;
use serde_json::Value;

use super::Op;

/// Applies checked parameters to settings; `others` are parameters that are not settings.
pub(super) fn change_options(params: &Values, others: &[&str], settings: &mut Settings) {
    let deleted = params
        .get("delete")
        .and_then(Value::as_str)
        .unwrap_or_default();
    for name in split_list(deleted) {
        settings.options.remove(name);
    }
    for (name, value) in params
        .iter()
        .filter(|(name, _)| !others.contains(&name.as_str()))
    {
        settings.options.insert(name.clone(), value.clone());
    }
}

impl Op {
    /// Whether the caller has a privilege on a path.
    pub(super) async fn has(&self, path: &str, privilege: Privilege) -> Result<bool, Error> {
        let access = self.context.authority.refresh(store::Read::Local).await?;
        Ok(access
            .view(self.identity()?, self.context.clock.wall())
            .has(path, privilege))
    }
}
