//! `ostler task`

use anyhow::Result;
use clap::Subcommand;
use model::Upid;
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::super::follow;
use super::super::format::{Table, duration, plain_text, time};
use super::super::output;
use super::super::progress::Log;
use super::Looks;

const LIST: &str = "/nodes/{node}/tasks";

/// Tasks of this node.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List the tasks, newest first.
    #[command(visible_alias = "ls")]
    List {
        /// Only running tasks.
        #[arg(short, long)]
        running: bool,
        /// The maximum number of tasks.
        #[arg(short = 'n', long, default_value = "50")]
        limit: u64,
        #[command(flatten)]
        looks: Looks,
    },
    /// Print a task's log.
    Log { upid: Upid },
    /// Wait until a task has ended; fails if it did.
    Wait {
        upid: Upid,
        /// Do not show the log.
        #[arg(short, long)]
        quiet: bool,
    },
}

pub(crate) async fn run(command: TaskCommand) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    match command {
        TaskCommand::List {
            running,
            limit,
            looks,
        } => {
            let source = if running { "active" } else { "all" };
            let params = values([("source", source.into()), ("limit", limit.into())]);
            let tasks = agent.at(Verb::Get, LIST, params).await?.data;
            looks.print(&tasks, list)
        }
        TaskCommand::Log { upid } => {
            let lines = follow::log(&agent, &upid).await?;
            output::print(
                &lines
                    .iter()
                    .map(|line| format!("{line}\n"))
                    .collect::<String>(),
            )
        }
        TaskCommand::Wait { upid, quiet } => {
            let log = if quiet { Log::Nowhere } else { Log::Stdout };
            follow::follow(&agent, &upid.to_string(), log).await
        }
    }
}

fn list(tasks: &Value) -> Table {
    let mut table = Table::new(["STARTED", "TOOK", "TYPE", "ID", "USER", "STATUS", "UPID"]);
    for task in tasks.as_array().into_iter().flatten() {
        let started = task["starttime"].as_i64();
        let took = match (started, task["endtime"].as_i64()) {
            (Some(started), Some(ended)) => {
                u64::try_from(ended - started).map_or_else(|_| "-".to_owned(), duration)
            }
            _ => "-".to_owned(),
        };
        table.row([
            started.map(time).unwrap_or_default(),
            took,
            plain_text(&task["type"]),
            plain_text(&task["id"]),
            plain_text(&task["user"]),
            plain_text(&task["status"]),
            plain_text(&task["upid"]),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Style;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: TaskCommand,
    }

    #[test]
    fn a_upid_is_checked_and_a_limit_has_a_default() {
        let parse = |line: &str| Line::try_parse_from(["task"].into_iter().chain(line.split(' ')));
        assert!(parse("log UPID:bad").is_err());
        let Ok(Line {
            command:
                TaskCommand::List {
                    running: true,
                    limit: 50,
                    ..
                },
        }) = parse("list -r")
        else {
            panic!("a list")
        };
        let upid = "UPID:pve1:0000039C:0005556C:6B00D68B:qmcreate:100:root@pam:";
        assert!(matches!(
            parse(&format!("wait -q {upid}")).unwrap().command,
            TaskCommand::Wait { quiet: true, .. }
        ));
    }

    #[test]
    fn tasks_are_a_table() {
        let tasks = json!([
            {"upid": "UPID:pve1:1:", "starttime": 0, "type": "qmstart", "id": "100",
             "user": "root@pam", "status": "RUNNING"},
            {"upid": "UPID:pve1:2:", "starttime": 0, "endtime": 65, "type": "qmcreate", "id": "100",
             "user": "root@pam", "status": "OK"},
        ]);
        let style = Style {
            border: false,
            ..Style::default()
        };
        let wanted = include_str!("../../../tests/golden/task-list.txt");
        assert_eq!(list(&tasks).print(&style), wanted);
    }
}
