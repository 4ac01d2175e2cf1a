//! `ha-manager`: high availability, by the command names of Proxmox VE. There is none yet: it knows
//! whether there is quorum, and no services.

use anyhow::Result;
use model::schema::{Field, Shape, Values};
use proto::Verb;
use serde_json::Value;

use super::agent::Agent;
use super::commands::{Command, Program, nothing, own};
use super::format::{Output, Style, plain_text, render};
use super::output;

pub(super) const PROGRAM: Program = Program {
    name: "ha-manager",
    about: "high availability: whether there is quorum",
    commands: COMMANDS,
    takes_passwords: false,
};

const STATUS: &[Field] = &[Field::boolean("verbose").optional()];

const COMMANDS: &[Command] = &[
    nothing("add"),
    nothing("config"),
    nothing("crm-command"),
    nothing("migrate"),
    nothing("relocate"),
    nothing("remove"),
    nothing("rules"),
    nothing("set"),
    own(
        "status",
        "Whether there is quorum, and the state of each service.",
        STATUS,
        |agent, given, style| Box::pin(status(agent, given, style)),
    ),
];

async fn status(agent: Agent, given: Values, style: Style) -> Result<()> {
    let ask = async |path: &str| {
        let answer = agent.at(Verb::Get, path, Values::new()).await?;
        anyhow::Ok(answer.data)
    };
    let rows = ask("/cluster/ha/status/current").await?;
    if style.output != Output::Text {
        return output::print(&render(&style, &rows, &Shape::Any)?);
    }
    output::print(&lines(&rows))?;
    if given.get("verbose").is_some_and(|verbose| *verbose == true) {
        output::line("full cluster state:")?;
        let state = ask("/cluster/ha/status/manager_status").await?;
        output::line(&serde_json::to_string_pretty(&state)?)?;
    }
    Ok(())
}

/// A line for each row: its type and its status.
fn lines(rows: &Value) -> String {
    let rows = rows.as_array().into_iter().flatten();
    let lines = rows.map(|row| {
        format!(
            "{} {}\n",
            plain_text(&row["type"]),
            plain_text(&row["status"])
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_has_type_and_status() {
        let rows = json!([
            {"id": "quorum", "type": "quorum", "status": "OK"},
            {"id": "fencing", "type": "fencing", "status": "standby"},
        ]);
        assert_eq!(lines(&rows), "quorum OK\nfencing standby\n");
    }
}
