//! `/nodes/{node}/{journal,syslog}`: the host's log, or Ostler's own if the host keeps none.
//!
//! ```text
//!   does the host keep a journal? ─┬─ yes ─► system: journalctl
//!                                  └─ no  ─► own: the agent's events, starts and ends of tasks
//! ```

mod own;
mod system;

use std::path::Path;

use model::Error;
use node::NodeContext;
use proto::wire::Answer;
use serde::Deserialize;
use sys::{Command, FileKind};

use crate::ops::Op;

/// Where journald keeps its files, in a folder per machine.
const JOURNALS: [&str; 2] = ["/run/log/journal", "/var/log/journal"];

/// The maximum number of entries that are read at once; the newest ones.
const ENTRIES_MAX: usize = 50_000;

/// The selected entries of the log.
#[derive(Deserialize)]
struct Window {
    lastentries: Option<usize>,
    since: Option<i64>,
    until: Option<i64>,
    startcursor: Option<String>,
    endcursor: Option<String>,
}

/// The selected lines of the log, as plain text.
#[derive(Deserialize)]
pub(super) struct Syslog {
    pub(super) limit: Option<usize>,
    pub(super) service: Option<String>,
    pub(super) since: Option<String>,
    pub(super) start: Option<usize>,
    pub(super) until: Option<String>,
}

/// An entry with its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    cursor: String,
    line: String,
}

impl Window {
    /// A cursor and a time for the same end contradict each other.
    fn check(&self) -> Result<(), Error> {
        let pairs = [
            ("since", self.since, "startcursor", &self.startcursor),
            ("until", self.until, "endcursor", &self.endcursor),
        ];
        for (time, given, cursor, also) in pairs {
            if given.is_some() && also.is_some() {
                return Err(Error::invalid(time, format!("conflicts with '{cursor}'")));
            }
        }
        if self.startcursor.is_some() && self.endcursor.is_some() {
            return Err(Error::invalid("endcursor", "conflicts with 'startcursor'"));
        }
        Ok(())
    }

    /// The maximum number of entries; the last ones of the selection.
    fn count_max(&self) -> usize {
        match self.lastentries {
            None | Some(0) => ENTRIES_MAX,
            Some(count) => count.min(ENTRIES_MAX),
        }
    }
}

/// The lines, enclosed by the cursors of the first and the last one.
pub(super) async fn journal(op: Op) -> Result<Answer, Error> {
    let window: Window = op.params()?;
    window.check()?;
    let node = &op.context.node;
    let entries = if has_journal(node).await? {
        system::entries(node, &window).await?
    } else {
        own::entries(&op, &window).await?
    };
    Ok(Answer::new(framed(entries, &window)))
}

/// If there are no entries, the caller gets its own cursor back to continue from.
fn framed(entries: Vec<Entry>, window: &Window) -> Vec<String> {
    let given = || window.startcursor.clone().or(window.endcursor.clone());
    let first = entries.first().map(|entry| entry.cursor.clone());
    let last = entries.last().map(|entry| entry.cursor.clone());
    let lines = entries.into_iter().map(|entry| entry.line);
    let first = first.or_else(given).into_iter();
    first.chain(lines).chain(last.or_else(given)).collect()
}

/// All lines that a query selects, before paging.
pub(super) async fn lines(op: &Op, query: &Syslog) -> Result<Vec<String>, Error> {
    let node = &op.context.node;
    if has_journal(node).await? {
        system::lines(node, query).await
    } else {
        own::lines(op, query).await
    }
}

/// Whether journald keeps a log here.
async fn has_journal(node: &NodeContext) -> Result<bool, Error> {
    for folder in JOURNALS {
        let entries = node.host.list(Path::new(folder)).await?;
        let is_folder = |entry: &sys::FileEntry| entry.kind == FileKind::Directory;
        if entries.iter().any(is_folder) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Seconds since 1970 in journald's format, in the host's time zone.
async fn times(
    node: &NodeContext,
    seconds: impl Iterator<Item = i64>,
) -> Result<Vec<String>, Error> {
    let input: String = seconds.map(|second| format!("@{second}\n")).collect();
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let command = Command::new("date")
        .args(["--file=-", "+%b %d %H:%M:%S"])
        .input(input);
    let printed = node.host.run(command).await?.checked("date")?;
    let text = String::from_utf8_lossy(&printed);
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn window(params: Value) -> Window {
        serde_json::from_value(params).unwrap()
    }

    #[test]
    fn an_end_is_a_time_or_a_cursor() {
        let wrong = window(json!({"since": 1, "startcursor": "x"})).check();
        assert_eq!(
            wrong.unwrap_err().fields["since"],
            "conflicts with 'startcursor'"
        );
        assert!(
            window(json!({"since": 1, "endcursor": "x"}))
                .check()
                .is_ok()
        );
        assert_eq!(window(json!({"lastentries": 0})).count_max(), ENTRIES_MAX);
        assert_eq!(window(json!({"lastentries": 7})).count_max(), 7);
    }

    #[test]
    fn lines_stand_between_cursors() {
        let entry = |cursor: &str| Entry {
            cursor: cursor.to_owned(),
            line: format!("line {cursor}"),
        };
        let all = window(json!({}));
        let lines = framed(vec![entry("a"), entry("b")], &all);
        assert_eq!(lines, ["a", "line a", "line b", "b"]);
        assert_eq!(framed(vec![], &all), Vec::<String>::new());
        assert_eq!(
            framed(vec![], &window(json!({"startcursor": "c"}))),
            ["c", "c"]
        );
    }
}
