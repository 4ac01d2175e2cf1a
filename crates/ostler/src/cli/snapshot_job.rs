//! `ostler snapshot-job`: snapshots by a schedule and before changes.

use anyhow::{Result, bail};
use model::schema::{Field, Shape, Values, format};
use proto::Verb;
use serde_json::Value;

use super::agent::Agent;
use super::commands::{Command, Program, Show, delete, get, own, post, put};
use super::follow::follow;
use super::format::{Output, Style, Table, plain_text, render, time};
use super::output;
use super::progress::Log;

pub(super) const PROGRAM: Program = Program {
    name: "snapshot-job",
    about: "jobs that make snapshots of guests and keep the newest",
    commands: COMMANDS,
    takes_passwords: false,
};

const JOBS: &str = "/ostler/cluster/snapshot-jobs";
const JOB: &str = "/ostler/cluster/snapshot-jobs/{id}";
const RUN: &str = "/ostler/cluster/snapshot-jobs/{id}/run";
const ONE: &[&str] = &["id"];
const ID: &[Field] = &[Field::string("id").format(format::CONFIG_ID)];

const COMMANDS: &[Command] = &[
    post("create", JOBS).takes(&["id", "schedule"]),
    delete("delete", JOB).takes(ONE),
    get("list", JOBS).show(Show::Table(list)),
    own(
        "run",
        "Run a job now, on each node that has guests of it, and wait for the end.",
        ID,
        |agent, given, style| Box::pin(run(agent, given, style)),
    )
    .takes(ONE),
    put("set", JOB).takes(ONE),
    get("show", JOB).takes(ONE),
];

/// Follows the job's task on each node. One that fails does not hide the others.
async fn run(agent: Agent, given: Values, style: Style) -> Result<()> {
    let begun = agent.at(Verb::Post, RUN, given).await?.data;
    if style.output != Output::Text {
        return output::print(&render(&style, &begun, &Shape::Any)?);
    }
    let rows = begun.as_array().into_iter().flatten();
    let mut failed = Ok(());
    let mut count = 0;
    for row in rows {
        count += 1;
        let node = plain_text(&row["node"]);
        match (row["upid"].as_str(), row["error"].as_str()) {
            (Some(upid), _) => {
                output::line(&format!("{node}:"))?;
                let ended = follow(&agent, upid, Log::Stdout).await;
                failed = failed.and(ended);
            }
            (None, error) => {
                let error = error.unwrap_or_default();
                output::line(&format!("{node}: {error}"))?;
                failed = failed.and_then(|()| bail!("the job does not run on node {node}"));
            }
        }
    }
    if count == 0 {
        output::line("the job has no guests now")?;
    }
    failed
}

fn list(jobs: &Value, style: &Style) -> String {
    let head = [
        "ID", "ENABLED", "SCHEDULE", "GUESTS", "KEEP", "NEXT RUN", "LAST RUN", "STATE", "MISSED",
    ];
    let mut table = Table::new(head);
    for job in jobs.as_array().into_iter().flatten() {
        let at = |name: &str| job[name].as_i64().map(time).unwrap_or_default();
        let is_enabled = plain_text(&job["enabled"]) != "0";
        table.row([
            plain_text(&job["id"]),
            u8::from(is_enabled).to_string(),
            when(job),
            guests(job),
            kept(job),
            at("next-run"),
            at("last-run"),
            plain_text(&job["state"]),
            plain_text(&job["missed"]),
        ]);
    }
    table.print(style)
}

/// By the clock, before changes, or both.
fn when(job: &Value) -> String {
    let before = |words: &str| format!("before {words}");
    let schedule = job["schedule"].as_str().map(str::to_owned);
    let parts = [schedule, job["before"].as_str().map(before)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn guests(job: &Value) -> String {
    let given = |name: &str| (!job[name].is_null()).then(|| plain_text(&job[name]));
    let which = ["pool", "tag", "vmid"].into_iter().find_map(|name| {
        let value = given(name)?;
        Some(format!("{name} {value}"))
    });
    let mut text = which.unwrap_or_else(|| "all".to_owned());
    for (word, name) in [("but", "exclude"), ("on", "node")] {
        if let Some(value) = given(name) {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    text
}

fn kept(job: &Value) -> String {
    let kinds = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
    let kept = kinds.into_iter().filter_map(|kind| {
        let count = job[format!("keep-{kind}")]
            .as_u64()
            .filter(|count| *count > 0)?;
        Some(format!("{kind}={count}"))
    });
    match kept.collect::<Vec<_>>().join(",") {
        kept if kept.is_empty() => "all".to_owned(),
        kept => kept,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_a_line() {
        let jobs = json!([
            {"id": "daily", "schedule": "2:30", "tag": "db", "node": "pve1", "keep-daily": 7,
                "keep-last": 0, "state": "OK", "last-run": 0, "missed": 2},
            {"id": "all", "before": "config,exec", "all": 1, "exclude": "100", "enabled": 0,
                "missed": 0},
        ]);
        let style = Style {
            border: false,
            ..Style::default()
        };
        let text = list(&jobs, &style);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].contains("tag db on pve1") && lines[1].contains("daily=7"),
            "{text}"
        );
        assert!(!lines[1].contains("last=0"), "{text}");
        assert!(lines[2].contains("before config,exec"), "{text}");
        assert!(lines[2].contains("all but 100"), "{text}");
    }
}
