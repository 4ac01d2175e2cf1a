//! Changes of settings by PUT: parameters are set, options named in `delete` are removed.

use model::schema::Values;
use model::schema::format::split_list;
use model::{Error, Privilege};
use node::Settings;
use proto::wire::Answer;
use serde_json::{Value, json};
use store::Key;

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

/// Refuses a change of other settings than the caller knows.
pub(super) fn check_digest(settings: &Settings, known: Option<&str>) -> Result<(), Error> {
    if known.is_none_or(|known| known == settings.digest()) {
        return Ok(());
    }
    let text = "detected modified configuration - file changed by other user? Try again.";
    Err(Error::conflict(text))
}

/// Refuses to remove required and unknown options, and options that the same request sets.
pub(super) fn check_deleted<'a>(
    mut deleted: impl Iterator<Item = &'a str>,
    required: &[&str],
    options: &[&str],
    params: &Values,
) -> Result<(), Error> {
    let wrong = deleted.find_map(|name| match name {
        _ if required.contains(&name) => Some(format!("unable to delete required option '{name}'")),
        _ if !options.contains(&name) => Some(format!("no such option '{name}'")),
        _ if params.contains_key(name) => Some(format!(
            "cannot set and delete property '{name}' at the same time!"
        )),
        _ => None,
    });
    wrong.map_or(Ok(()), |text| Err(Error::conflict(text)))
}

/// A record of settings as it is stored, with its digest.
pub(super) async fn show_settings(op: &Op, key: &Key) -> Result<Answer, Error> {
    let settings = op.records.settings(key).await?;
    let mut answer = json!(settings.options);
    answer["digest"] = settings.digest().into();
    Ok(Answer::new(answer))
}

/// Changes a record of settings by the parameters of a request; `others` are parameters that are
/// none of its options.
pub(super) async fn update_settings(
    op: &Op,
    key: &Key,
    options: &[&str],
    others: &[&str],
) -> Result<Answer, Error> {
    let text = |name: &str| op.params.get(name).and_then(Value::as_str);
    let deleted = split_list(text("delete").unwrap_or_default());
    check_deleted(deleted, &[], options, &op.params)?;
    let others = [others, &["delete", "digest"]].concat();
    let change = |settings: &mut Settings| {
        check_digest(settings, text("digest"))?;
        change_options(&op.params, &others, settings);
        Ok(())
    };
    let revision = op.records.change_settings(key, change).await?;
    Ok(Answer::null().at(revision.0))
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
