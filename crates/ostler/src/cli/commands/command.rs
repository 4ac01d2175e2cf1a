//! A command: its operation, its positionals and its output.
//!
//! Operations are named by verb and path, as in the public API. A command whose operation this
//! version does not have is recognized, and fails with an error that says so.

use std::future::Future;
use std::pin::Pin;

use anyhow::Result;
use model::schema::{Field, Values, find};
use proto::{Row, Verb};
use serde_json::Value;

use super::super::agent::{self, Agent};
use super::super::format::Style;
use super::super::pvesh::free_fields;

/// The kinds of commands.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Does {
    Operation(Verb, &'static str),
    /// A function of its own.
    Own(Own),
    /// Known, but without an operation in the API.
    Nothing,
}

/// A command with a function of its own, and its fields.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Own {
    pub(in crate::cli) fields: &'static [Field],
    pub(in crate::cli) summary: &'static str,
    pub(in crate::cli) run: Run,
}

pub(in crate::cli) type Run = fn(Agent, Values, Style) -> Running;
pub(in crate::cli) type Running = Pin<Box<dyn Future<Output = Result<()>>>>;

/// The text output of a command that is not a task. In the other formats the answer itself is
/// printed.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Show {
    Nothing,
    /// The answer itself.
    Answer,
    Text(fn(&Value) -> String),
    Table(fn(&Value, &Style) -> String),
    /// With an option `--verbose` of its own.
    Verbose(fn(&Value, bool) -> String),
}

/// A password that a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Asks {
    Nothing,
    /// An existing one.
    Old,
    /// A new one, so it is asked for twice.
    New,
}

/// The operation that follows another.
pub(in crate::cli) type Next = (Verb, &'static str, Values);

/// The operation that a flag asks for instead. It gets those of the given values that it knows.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Instead {
    pub(in crate::cli) flag: &'static [Field],
    pub(in crate::cli) path: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Command {
    /// One word or more: `start`, `disk resize`, `user token add`.
    pub(in crate::cli) name: &'static str,
    pub(in crate::cli) does: Does,
    pub(in crate::cli) positionals: &'static [&'static str],
    pub(in crate::cli) show: Show,
    /// Parameters with fixed values.
    pub(in crate::cli) fixed: &'static [(&'static str, &'static str)],
    pub(in crate::cli) asks: Asks,
    /// Changes the given values before they are checked.
    pub(in crate::cli) before: Option<fn(&mut Values) -> Result<()>>,
    /// A message after the check, before the operation.
    pub(in crate::cli) says: Option<fn(&Values) -> String>,
    /// The operation to call afterwards.
    pub(in crate::cli) then: Option<fn(&mut Values) -> Option<Next>>,
    pub(in crate::cli) instead: Option<Instead>,
}

pub(in crate::cli) const fn command(name: &'static str, does: Does) -> Command {
    Command {
        name,
        does,
        positionals: &[],
        show: Show::Nothing,
        fixed: &[],
        asks: Asks::Nothing,
        before: None,
        says: None,
        then: None,
        instead: None,
    }
}

pub(in crate::cli) const fn get(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Get, path)).show(Show::Answer)
}

pub(in crate::cli) const fn post(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Post, path))
}

pub(in crate::cli) const fn put(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Put, path))
}

pub(in crate::cli) const fn delete(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Delete, path))
}

pub(in crate::cli) const fn own(
    name: &'static str,
    summary: &'static str,
    fields: &'static [Field],
    run: Run,
) -> Command {
    let own = Own {
        fields,
        summary,
        run,
    };
    command(name, Does::Own(own))
}

pub(in crate::cli) const fn nothing(name: &'static str) -> Command {
    command(name, Does::Nothing)
}

impl Command {
    pub(in crate::cli) const fn takes(mut self, positionals: &'static [&'static str]) -> Self {
        self.positionals = positionals;
        self
    }

    pub(in crate::cli) const fn show(mut self, show: Show) -> Self {
        self.show = show;
        self
    }

    pub(in crate::cli) const fn with(
        mut self,
        fixed: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.fixed = fixed;
        self
    }

    pub(in crate::cli) const fn asks(mut self, asks: Asks) -> Self {
        self.asks = asks;
        self
    }

    pub(in crate::cli) const fn before(mut self, before: fn(&mut Values) -> Result<()>) -> Self {
        self.before = Some(before);
        self
    }

    pub(in crate::cli) const fn says(mut self, says: fn(&Values) -> String) -> Self {
        self.says = Some(says);
        self
    }

    pub(in crate::cli) const fn then(mut self, then: fn(&mut Values) -> Option<Next>) -> Self {
        self.then = Some(then);
        self
    }

    /// With a flag that reads what this path answers, and does nothing.
    pub(in crate::cli) const fn or_reads(
        mut self,
        flag: &'static [Field],
        path: &'static str,
    ) -> Self {
        self.instead = Some(Instead { flag, path });
        self
    }

    /// The operation that the given values ask for, whose answer is shown in this way.
    pub(in crate::cli) fn chosen(
        &self,
        row: &'static Row,
        values: &mut Values,
    ) -> (&'static Row, Show) {
        let Some(Instead { flag, path }) = self.instead else {
            return (row, self.show);
        };
        let mut given = flag.iter().map(|flag| values.shift_remove(flag.name));
        let is_given = given.any(|value| value.is_some_and(|value| value == "1"));
        match agent::find(Verb::Get, path).filter(|_| is_given) {
            None => (row, self.show),
            Some(other) => {
                values.retain(|name, _| find(other.params, name).is_some());
                (other, Show::Answer)
            }
        }
    }

    /// Whether this version can run it.
    pub(in crate::cli) fn works(&self) -> bool {
        match self.does {
            Does::Operation(..) => self.row().is_some(),
            Does::Own(_) => true,
            Does::Nothing => false,
        }
    }

    pub(in crate::cli) fn row(&self) -> Option<&'static Row> {
        match self.does {
            Does::Operation(verb, path) => agent::find(verb, path),
            Does::Own(_) | Does::Nothing => None,
        }
    }

    /// All its fields, in groups.
    pub(in crate::cli) fn fields(&self) -> Vec<&'static [Field]> {
        const VERBOSE: &[Field] = &[Field::boolean("verbose").optional()];
        let mut groups = match self.does {
            Does::Own(own) => vec![own.fields],
            Does::Operation(..) => self
                .row()
                .map(|row| row.params.to_vec())
                .unwrap_or_default(),
            Does::Nothing => Vec::new(),
        };
        if matches!(self.show, Show::Verbose(_)) {
            groups.push(VERBOSE);
        }
        groups.extend(self.instead.map(|instead| instead.flag));
        groups
    }

    /// The fields given as `--name value`.
    pub(in crate::cli) fn options(&self) -> Vec<&'static Field> {
        let mut options = match self.row() {
            Some(row) => free_fields(row),
            None => self.fields().into_iter().flatten().collect(),
        };
        options.extend(self.instead.iter().flat_map(|instead| instead.flag));
        let is_fixed = |name: &str| self.fixed.iter().any(|(fixed, _)| *fixed == name);
        options.retain(|field| !self.positionals.contains(&field.name) && !is_fixed(field.name));
        options
    }

    pub(in crate::cli) fn summary(&self) -> Option<&'static str> {
        match self.does {
            Does::Own(own) => Some(own.summary),
            _ => self.row().map(|row| row.summary),
        }
    }

    /// The name with its positionals and required options: `disk resize <vmid> <disk> <size>
    /// [OPTIONS]`.
    pub(in crate::cli) fn usage(&self) -> String {
        let fields = self.fields();
        let mut text = self.name.to_owned();
        for name in self.positionals {
            text.push_str(&match is_optional(&fields, name) {
                true => format!(" [<{name}>]"),
                false => format!(" <{name}>"),
            });
        }
        let asked = |name: &str| self.asks != Asks::Nothing && name == "password";
        for field in self.options() {
            if !field.optional && !asked(field.name) {
                text.push_str(&format!(" --{} <{}>", field.name, field.kind.as_str()));
            }
        }
        text + " [OPTIONS]"
    }
}

pub(super) fn is_optional(fields: &[&[Field]], name: &str) -> bool {
    find(fields, name).is_some_and(|field| field.optional)
}
