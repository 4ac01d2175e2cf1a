//! Ostler's own log, for a host without a journal: the lines of the cluster's log about this node.

use model::{Error, UnixTime};
use node::NodeContext;
use sys::Command;

use super::{Entry, Syslog, Window, times};
use crate::ops::Op;
use crate::ops::cluster::{LogLine, log_lines};

/// All lines, oldest first.
fn all(op: &Op) -> Vec<LogLine> {
    let mut lines = log_lines(&op.context, usize::MAX);
    // Both kinds of lines come newest first, and keep their order within a second.
    lines.reverse();
    lines.sort_by_key(|line| line.time);
    lines
}

pub(super) async fn entries(op: &Op, window: &Window) -> Result<Vec<Entry>, Error> {
    let lines = windowed(all(op), window)?;
    let shown = shown(op, &lines).await?;
    let entry = |(line, shown): (&LogLine, String)| Entry {
        cursor: cursor(line),
        line: shown,
    };
    Ok(lines.iter().zip(shown).map(entry).collect())
}

fn windowed(mut lines: Vec<LogLine>, window: &Window) -> Result<Vec<LogLine>, Error> {
    lines.retain(|line| window.since.is_none_or(|since| line.time >= since));
    lines.retain(|line| window.until.is_none_or(|until| line.time <= until));
    if let Some(text) = &window.startcursor {
        let (time, uid) = parse_cursor("startcursor", text)?;
        let after = match lines.iter().position(|line| line.uid == uid) {
            Some(at) => at + 1,
            // The entry has been dropped meanwhile, with all entries before it.
            None => lines.partition_point(|line| line.time <= time),
        };
        lines.drain(..after);
    }
    if let Some(text) = &window.endcursor {
        let (time, uid) = parse_cursor("endcursor", text)?;
        let at = lines.iter().position(|line| line.uid == uid);
        lines.truncate(at.unwrap_or_else(|| lines.partition_point(|line| line.time < time)));
    }
    let before = lines.len().saturating_sub(window.count_max());
    lines.drain(..before);
    Ok(lines)
}

fn cursor(line: &LogLine) -> String {
    format!("ostler;t={:x};u={}", line.time, line.uid)
}

fn parse_cursor<'a>(field: &str, text: &'a str) -> Result<(UnixTime, &'a str), Error> {
    let parts = text
        .strip_prefix("ostler;t=")
        .and_then(|rest| rest.split_once(";u="));
    let read = parts.and_then(|(time, uid)| Some((UnixTime::from_str_radix(time, 16).ok()?, uid)));
    read.ok_or_else(|| Error::invalid(field, format!("'{text}' is not a cursor of this log")))
}

pub(super) async fn lines(op: &Op, query: &Syslog) -> Result<Vec<String>, Error> {
    let node = &op.context.node;
    let since = seconds(node, "since", query.since.as_deref()).await?;
    let until = seconds(node, "until", query.until.as_deref()).await?;
    let mut lines = all(op);
    lines.retain(|line| since.is_none_or(|since| line.time >= since));
    lines.retain(|line| until.is_none_or(|until| line.time <= until));
    if let Some(service) = &query.service {
        let service = service.trim_end_matches(".service");
        lines.retain(|line| line.tag == service || service == "ostler");
    }
    shown(op, &lines).await
}

/// A local time in the wire's format, in seconds since 1970.
async fn seconds(
    node: &NodeContext,
    field: &str,
    text: Option<&str>,
) -> Result<Option<UnixTime>, Error> {
    let Some(text) = text else { return Ok(None) };
    let command = Command::new("date").args([format!("--date={text}"), "+%s".to_owned()]);
    let output = node.host.run(command).await?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.trim().parse() {
        Ok(seconds) => Ok(Some(seconds)),
        Err(_) => Err(Error::invalid(field, format!("'{text}' is not a time"))),
    }
}

/// `Nov 20 22:56:04 pve1 pvedaemon[812]: <root@pam> starting task UPID:…`
async fn shown(op: &Op, lines: &[LogLine]) -> Result<Vec<String>, Error> {
    let times = times(&op.context.node, lines.iter().map(|line| line.time)).await?;
    let (node, pid) = (&op.context.node.name, std::process::id());
    let line = |(line, time): (&LogLine, String)| {
        let LogLine {
            tag, user, message, ..
        } = line;
        format!("{time} {node} {tag}[{pid}]: <{user}> {message}")
    };
    Ok(lines.iter().zip(times).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::Priority;
    use serde_json::{Value, json};

    /// The texts of the lines in this window, of three lines at seconds 1, 2 and 2.
    fn of(window: Value) -> Result<Vec<String>, Error> {
        let lines = [(1, "a"), (2, "b"), (2, "c")].map(|(time, uid)| LogLine {
            time,
            priority: Priority::Info,
            user: "root@pam".to_owned(),
            tag: "test",
            uid: uid.to_owned(),
            message: String::new(),
        });
        let lines = windowed(lines.into(), &serde_json::from_value(window).unwrap());
        Ok(lines?.into_iter().map(|line| line.uid).collect())
    }

    #[test]
    fn cursors_and_times_bound_the_window() {
        assert_eq!(of(json!({})).unwrap(), ["a", "b", "c"]);
        assert_eq!(of(json!({"lastentries": 2})).unwrap(), ["b", "c"]);
        assert_eq!(of(json!({"since": 2})).unwrap(), ["b", "c"]);
        assert_eq!(of(json!({"until": 1})).unwrap(), ["a"]);
        assert_eq!(of(json!({"startcursor": "ostler;t=2;u=b"})).unwrap(), ["c"]);
        assert_eq!(
            of(json!({"startcursor": "ostler;t=1;u=gone"})).unwrap(),
            ["b", "c"]
        );
        assert_eq!(
            of(json!({"endcursor": "ostler;t=2;u=c"})).unwrap(),
            ["a", "b"]
        );
        let wrong = of(json!({"endcursor": "s=1"})).unwrap_err();
        assert_eq!(
            wrong.fields["endcursor"],
            "'s=1' is not a cursor of this log"
        );
    }
}
