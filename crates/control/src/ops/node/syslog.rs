//! `GET /nodes/{node}/syslog`

use model::Error;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::journal::{self, Syslog};
use crate::ops::Op;

/// How many lines are shown by default.
const LINES: usize = 50;

pub(super) async fn syslog(op: Op) -> Result<Answer, Error> {
    let query: Syslog = op.params()?;
    let lines = journal::lines(&op, &query).await?;
    Ok(page(&lines, &query))
}

fn page(lines: &[String], query: &Syslog) -> Answer {
    let (start, limit) = (query.start.unwrap_or(0), query.limit.unwrap_or(LINES));
    let numbered = lines.iter().enumerate().skip(start).take(limit);
    let mut rows: Vec<Value> = numbered
        .map(|(at, line)| json!({"n": at + 1, "t": line}))
        .collect();
    // Grids of the web interface cannot be empty, so Proxmox VE answers a line that says so.
    if lines.is_empty() {
        rows.push(json!({"n": 1, "t": "no content"}));
    }
    Answer::new(rows).total(lines.len().max(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_numbered_by_the_whole_log() {
        let lines: Vec<String> = (1..=5).map(|number| format!("line {number}")).collect();
        let query: Syslog = serde_json::from_value(json!({"start": 2, "limit": 2})).unwrap();
        let answer = page(&lines, &query);
        let wanted = json!([{"n": 3, "t": "line 3"}, {"n": 4, "t": "line 4"}]);
        assert_eq!((answer.data, answer.total), (wanted, Some(5)));
        let none = page(&[], &query);
        assert_eq!(none.data, json!([{"n": 1, "t": "no content"}]));
    }
}
