//! What holds for options of guests of both kinds.

use std::collections::BTreeMap;

use model::schema::{Field, Values, find};
use model::{Error, FieldErrors, GuestConfig};
use node::tasks::NewTemplate;
use serde_json::Value;

use super::Op;
use super::tags::check_tags;

/// A change of options, as its edit has it.
pub(super) struct Changed<'a> {
    pub(super) set: &'a mut BTreeMap<String, Value>,
    pub(super) delete: &'a [String],
    pub(super) revert: &'a [String],
}

impl Changed<'_> {
    fn named(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let deleted = self.delete.iter().map(|name| ("delete", name));
        deleted.chain(self.revert.iter().map(|name| ("revert", name)))
    }

    /// An option cannot be both set and deleted, and a deleted one must be a known option.
    pub(super) fn check_names(&self, options: &[&[Field]]) -> Result<(), Error> {
        if self.set.is_empty() && self.named().next().is_none() {
            return Err(Error::conflict("no options specified"));
        }
        let mut errors = FieldErrors::new();
        for (field, name) in self.named() {
            if self.set.contains_key(name) {
                let text = format!("you can't use '-{name}' and -{field} {name}' at the same time");
                errors.insert(field.to_owned(), text);
            } else if find(options, name).is_none() {
                errors.insert(field.to_owned(), format!("unknown option '{name}'"));
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid_fields(errors)),
        }
    }

    /// Refuses a change of tags that the caller may not make.
    pub(super) async fn check_tags(&self, op: &Op, config: &GuestConfig) -> Result<(), Error> {
        let is_deleted = self.delete.iter().any(|name| name == "tags");
        match (self.set.get("tags"), is_deleted) {
            (None, false) => Ok(()),
            (after, _) => check_tags(op, config, after).await,
        }
    }

    /// A guest becomes a template by its conversion, and then stays one: its bases may have layers.
    /// What is set as it is already is no change.
    pub(super) fn check_template(&mut self, config: &GuestConfig) -> Result<(), Error> {
        let is_template = config.flag("template") == Some(true);
        if let Some(value) = self.set.remove("template") {
            let asked = GuestConfig([("template".to_owned(), value)].into());
            let text = match (is_template, asked.flag("template") == Some(true)) {
                (true, false) => "a template stays a template",
                (false, true) => "a guest becomes a template by its conversion",
                (true, true) | (false, false) => return Ok(()),
            };
            return Err(Error::invalid("template", text));
        }
        match self.named().find(|(_, name)| *name == "template") {
            Some((field, _)) if is_template => {
                Err(Error::invalid(field, "a template stays a template"))
            }
            _ => Ok(()),
        }
    }
}

/// Takes `template` from the options of a new guest.
pub(super) fn new_template(
    options: &mut Values,
    template: Option<bool>,
    start: Option<bool>,
) -> Result<Option<NewTemplate>, Error> {
    if template != Some(true) {
        return Ok(None);
    }
    options.remove("template");
    if start == Some(true) {
        return Err(Error::invalid("start", "a template cannot be started"));
    }
    Ok(Some(NewTemplate::default()))
}
