//! `ostler doctor`

use std::fmt::Write;

use anyhow::Result;
use clap::Args;
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::Agent;
use super::super::format::{Table, plain_text};
use super::super::output;
use super::{Format, Looks, exit_by_worst, rows};

const DOCTOR: &str = "/ostler/doctor";

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    looks: Looks,
}

pub(crate) async fn run(options: DoctorOptions) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    let findings = agent.at(Verb::Get, DOCTOR, Values::new()).await?.data;
    options.looks.print(&findings, table)?;
    if options.looks.format == Format::Text {
        output::print(&explained(&findings))?;
    }
    exit_by_worst(&findings, "level")
}

fn table(findings: &Value) -> Table {
    let mut table = Table::new(["NODE", "CHECK", "LEVEL", "FOUND"]);
    for row in rows(findings) {
        table.row(["node", "check", "level", "found"].map(|name| plain_text(&row[name])));
    }
    table
}

/// What is not as it should be, one paragraph each.
fn explained(findings: &Value) -> String {
    let mut text = String::new();
    for row in rows(findings).filter(|row| row["level"] != "ok") {
        let part = |name: &str| plain_text(&row[name]);
        let _ = write!(
            text,
            "\n{} {}: {}\n  means: {}\n  to do: {}\n",
            part("node"),
            part("check"),
            part("found"),
            part("means"),
            part("advice")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_wrong_is_explained() {
        let findings = json!([
            {"node": "a", "check": "link", "level": "ok", "found": "b is heard"},
            {"node": "a", "check": "etcd version", "level": "warning", "found": "3.4.23",
             "means": "it may lose events", "advice": "install 3.6"},
        ]);
        assert_eq!(
            explained(&findings),
            "\na etcd version: 3.4.23\n  means: it may lose events\n  to do: install 3.6\n"
        );
    }
}
