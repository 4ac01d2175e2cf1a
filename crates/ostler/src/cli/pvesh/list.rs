//! `pvesh ls`: the entries below a path, and the commands for them.

use std::collections::BTreeSet;

use anyhow::Result;
use model::schema::{Shape, Values};
use model::{Error, ErrorKind};
use proto::{Router, Verb, table};

use super::super::agent::Agent;
use super::super::failure::usage;
use super::super::format::plain_text;
use super::super::{options, output};
use super::segments;

pub(super) async fn run(path: &str, rest: &[String]) -> Result<()> {
    let given = options::parse(rest, &[])?;
    if let Some(first) = given.positionals.first() {
        return Err(usage(format!(
            "'{first}' is not an option: options begin with '--'"
        )));
    }
    let at = segments(path);
    let children = below(&at);
    if children.is_empty() {
        let text = format!("resource '{path}' does not define child links");
        return Err(Error::new(ErrorKind::NotImplemented, text).into());
    }
    let mut names: BTreeSet<String> = children.words;
    if let Some(parameter) = children.parameter {
        names.extend(members(&at, parameter).await?);
    }
    let lines = names.iter().map(|name| line(&at, name));
    output::print(&lines.collect::<String>())
}

/// The table's entries one segment below a path.
#[derive(Debug, Default, PartialEq)]
pub(in crate::cli) struct Children {
    pub(in crate::cli) words: BTreeSet<String>,
    /// The name of the parameter in that place, if there is one.
    pub(in crate::cli) parameter: Option<&'static str>,
}

impl Children {
    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.parameter.is_none()
    }
}

pub(in crate::cli) fn below(at: &[String]) -> Children {
    let mut children = Children::default();
    for row in table::rows() {
        let mut parts = row.path.split('/').filter(|part| !part.is_empty());
        let leads_here = at.iter().all(|segment| {
            parts
                .next()
                .is_some_and(|part| part.starts_with('{') || part == segment)
        });
        match parts.next() {
            Some(part) if leads_here => match part.strip_prefix('{') {
                Some(name) => children.parameter = name.strip_suffix('}'),
                None => {
                    children.words.insert(part.to_owned());
                }
            },
            _ => {}
        }
    }
    children
}

/// The objects that a path lists, by the parameter that names them below it. None if the path lists
/// nothing.
async fn members(at: &[String], parameter: &str) -> Result<Vec<String>> {
    let Some(found) = Router::new(table::rows()).find(Verb::Get, at) else {
        return Ok(Vec::new());
    };
    if !matches!(found.row.returns, Shape::Array(_)) {
        return Ok(Vec::new());
    }
    let own = found.path_params.into_iter();
    let params: Values = own
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let answer = Agent::of_this_machine()?.ask(found.row, params).await?.data;
    let items = answer.as_array().into_iter().flatten();
    Ok(items
        .filter_map(|item| item.get(parameter))
        .map(plain_text)
        .collect())
}

/// `Dr---        name`: whether there is more below, and the commands that work there.
fn line(at: &[String], name: &str) -> String {
    let mut path = at.to_vec();
    path.push(name.to_owned());
    let router = Router::new(table::rows());
    let has = |verb| router.find(verb, &path).is_some();
    let flag = |yes: bool, letter: char| if yes { letter } else { '-' };
    let flags: String = [
        flag(!below(&path).is_empty(), 'D'),
        flag(has(Verb::Get), 'r'),
        flag(has(Verb::Put), 'w'),
        flag(has(Verb::Post), 'c'),
        flag(has(Verb::Delete), 'd'),
    ]
    .iter()
    .collect();
    format!("{flags}        {name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_words_or_a_parameter() {
        let root = below(&[]);
        assert!(root.words.contains("access") && root.words.contains("version"));
        let guests = below(&segments("/nodes/pve1/qemu"));
        assert_eq!(guests.parameter, Some("vmid"));
        assert!(below(&segments("/version")).is_empty());
        assert!(below(&segments("/nope")).is_empty());
    }

    #[test]
    fn capabilities_stand_in_front() {
        assert_eq!(line(&[], "version"), "-r---        version\n");
        assert_eq!(line(&segments("/access"), "users"), "Dr-c-        users\n");
        assert_eq!(
            line(&segments("/access/users"), "a@pam"),
            "Drw-d        a@pam\n"
        );
    }
}
