//! The host's journal, read by `journalctl`.

use model::Error;
use node::NodeContext;
use serde::Deserialize;
use serde_json::Value;
use sys::Command;

use super::{Entry, Syslog, Window, times};

/// The maximum number of lines that are counted.
const LINES_MAX: usize = 500_000;

/// An entry of the journal.
#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    /// Microseconds since 1970.
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: String,
    /// Text, or the bytes of a message that is not UTF-8.
    #[serde(rename = "MESSAGE", default)]
    message: Value,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<Value>,
    #[serde(rename = "_COMM")]
    program: Option<Value>,
    #[serde(rename = "SYSLOG_PID")]
    syslog_pid: Option<Value>,
    #[serde(rename = "_PID")]
    pid: Option<Value>,
    #[serde(rename = "_HOSTNAME")]
    host: Option<Value>,
}

pub(super) async fn entries(node: &NodeContext, window: &Window) -> Result<Vec<Entry>, Error> {
    let command = Command::new("journalctl").args(arguments(window));
    let printed = node.host.run(command).await?.checked("journalctl")?;
    let mut entries = Vec::new();
    for line in printed
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let raw: Raw = serde_json::from_slice(line)
            .map_err(|error| Error::bug(format!("journalctl printed no entry: {error}")))?;
        entries.push(raw);
    }
    if let Some(end) = &window.endcursor {
        // Backwards from the cursor, whose own entry is excluded.
        entries.retain(|entry| entry.cursor != *end);
        entries.truncate(window.count_max());
        entries.reverse();
    }
    let seconds = entries.iter().map(|entry| entry.seconds());
    let times = times(node, seconds).await?;
    let lines = entries.iter().zip(times);
    Ok(lines.map(|(entry, time)| entry.shown(&time)).collect())
}

fn arguments(window: &Window) -> Vec<String> {
    const FIELDS: &str = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_HOSTNAME";
    let mut arguments = vec![
        "--quiet".to_owned(),
        "--no-pager".to_owned(),
        "--all".to_owned(),
        "--output=json".to_owned(),
        format!("--output-fields={FIELDS}"),
    ];
    arguments.extend(window.since.map(|time| format!("--since=@{time}")));
    arguments.extend(window.until.map(|time| format!("--until=@{time}")));
    let after = window.startcursor.as_ref();
    arguments.extend(after.map(|cursor| format!("--after-cursor={cursor}")));
    let mut count = window.count_max();
    if let Some(cursor) = &window.endcursor {
        count += 1;
        arguments.extend(["--reverse".to_owned(), format!("--cursor={cursor}")]);
    }
    arguments.push(format!("--lines={count}"));
    arguments
}

impl Raw {
    fn seconds(&self) -> i64 {
        self.time.parse::<i64>().unwrap_or_default() / 1_000_000
    }

    /// `Nov 20 22:56:04 pve1 sshd[60]: text`
    fn shown(&self, time: &str) -> Entry {
        let text = |value: &Option<Value>| value.as_ref().map(plain);
        let name = text(&self.identifier).or_else(|| text(&self.program));
        let pid = text(&self.syslog_pid).or_else(|| text(&self.pid));
        let mut line = format!("{time} {}", text(&self.host).unwrap_or_default());
        line.push_str(&format!(" {}", name.as_deref().unwrap_or("unknown")));
        line.extend(pid.map(|pid| format!("[{pid}]")));
        line.push_str(&format!(": {}", plain(&self.message)));
        Entry {
            cursor: self.cursor.clone(),
            line,
        }
    }
}

/// The text of a field: a string, or the numbers of its bytes, or the first of several.
fn plain(field: &Value) -> String {
    match field {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_u64) => {
            let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Vec<u8> = items.iter().filter_map(byte).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Value::Array(items) => items.first().map(plain).unwrap_or_default(),
        _ => String::new(),
    }
}

pub(super) async fn lines(node: &NodeContext, query: &Syslog) -> Result<Vec<String>, Error> {
    let mut arguments = vec![
        "--quiet".to_owned(),
        "--no-pager".to_owned(),
        "--output=short".to_owned(),
        format!("--lines={LINES_MAX}"),
    ];
    let given = [
        ("since", &query.since),
        ("until", &query.until),
        ("unit", &query.service),
    ];
    for (name, value) in given {
        arguments.extend(value.as_ref().map(|value| format!("--{name}={value}")));
    }
    let command = Command::new("journalctl").args(arguments);
    let printed = node.host.run(command).await?.checked("journalctl")?;
    let text = String::from_utf8_lossy(&printed);
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(entry: Value) -> String {
        let raw: Raw = serde_json::from_value(entry).unwrap();
        raw.shown("Nov 20 22:56:04").line
    }

    #[test]
    fn an_entry_is_a_line_as_journalctl_writes_it() {
        let entry = json!({
            "__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1763679364000000", "MESSAGE": "hi",
            "SYSLOG_IDENTIFIER": "sshd", "_PID": "60", "_HOSTNAME": "pve1"
        });
        assert_eq!(line(entry), "Nov 20 22:56:04 pve1 sshd[60]: hi");
        let entry = json!({
            "__CURSOR": "s=1;i=3", "__REALTIME_TIMESTAMP": "1", "MESSAGE": [104, 255],
            "_COMM": ["a", "b"], "_HOSTNAME": "pve1"
        });
        assert_eq!(line(entry), "Nov 20 22:56:04 pve1 a: h\u{fffd}");
    }

    #[test]
    fn the_window_becomes_arguments() {
        let window = |params: Value| arguments(&serde_json::from_value(params).unwrap());
        let ends = |arguments: Vec<String>| arguments[5..].join(" ");
        assert_eq!(
            ends(window(json!({"since": 5, "until": 9, "lastentries": 3}))),
            "--since=@5 --until=@9 --lines=3"
        );
        assert_eq!(
            ends(window(json!({"startcursor": "s=1"}))),
            "--after-cursor=s=1 --lines=50000"
        );
        assert_eq!(
            ends(window(json!({"endcursor": "s=1", "lastentries": 3}))),
            "--reverse --cursor=s=1 --lines=4"
        );
    }
}
