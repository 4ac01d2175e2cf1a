//! `ostler alerts`

use anyhow::Result;
use clap::{Args, Subcommand};
use model::schema::Values;
use proto::Verb;
use serde_json::{Value, json};

use super::super::agent::{Agent, values};
use super::super::format::{Table, plain_text};
use super::super::output;
use super::{Format, Looks, exit_by_worst, rows};

const ALERTS: &str = "/ostler/alerts";
const ACKNOWLEDGE: &str = "/ostler/alerts/acknowledge";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AlertsOptions {
    #[command(subcommand)]
    command: Option<AlertsCommand>,
    #[command(flatten)]
    looks: Looks,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Note that you know of an alert, until it closes: it does not count any more.
    Acknowledge {
        /// As the list has it, `storage-full/pve1/local`.
        id: String,
        /// What others should know.
        #[arg(short, long)]
        comment: Option<String>,
    },
    /// Take that back.
    Unacknowledge { id: String },
}

pub(crate) async fn run(options: AlertsOptions) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    match options.command {
        None => list(&agent, options.looks).await,
        Some(AlertsCommand::Acknowledge { id, comment }) => {
            let mut params = values([("id", id.into())]);
            params.extend(comment.map(|comment| ("comment".to_owned(), comment.into())));
            agent.at(Verb::Post, ACKNOWLEDGE, params).await?;
            Ok(())
        }
        Some(AlertsCommand::Unacknowledge { id }) => {
            let params = values([("id", id.into())]);
            agent.at(Verb::Delete, ACKNOWLEDGE, params).await?;
            Ok(())
        }
    }
}

async fn list(agent: &Agent, looks: Looks) -> Result<()> {
    let alerts = agent.at(Verb::Get, ALERTS, Values::new()).await?.data;
    match rows(&alerts).next() {
        None if looks.format == Format::Text => output::line("nothing is wrong")?,
        _ => looks.print(&alerts, table)?,
    }
    let new = rows(&alerts).filter(|row| row["acknowledged"].is_null());
    exit_by_worst(&json!(new.collect::<Vec<_>>()), "severity")
}

fn table(alerts: &Value) -> Table {
    let head = [
        "SEVERITY",
        "ALERT",
        "WHAT IS WRONG",
        "WHAT TO DO",
        "ACKNOWLEDGED",
    ];
    let mut table = Table::new(head);
    for row in rows(alerts) {
        let [severity, id, text, advice] =
            ["severity", "id", "text", "advice"].map(|name| plain_text(&row[name]));
        let known = &row["acknowledged"];
        let known = match (known["by"].as_str(), known["comment"].as_str()) {
            (None, _) => Value::Null,
            (Some(by), None) => by.into(),
            (Some(by), Some(comment)) => format!("{by}: {comment}").into(),
        };
        table.row([severity, id, text, advice, plain_text(&known)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::super::format::Style;
    use super::*;

    #[test]
    fn the_list_says_who_knows() {
        let alert = json!({"id": "quorum", "severity": "warning", "object": "cluster",
            "text": "2 of 3 votes", "advice": "bring back n2"});
        let mut known = alert.clone();
        known["id"] = "witness-silent".into();
        known["acknowledged"] = json!({"by": "root@pam", "at": 1, "comment": "power\u{1b}[2J"});
        let text = table(&json!([alert, known])).print(&Style {
            border: false,
            ..Style::default()
        });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("quorum") && lines[1].trim_end().ends_with("bring back n2"));
        assert!(lines[2].contains("root@pam: power"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
