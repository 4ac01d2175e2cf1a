//! `pct cpusets`: which processors each running container may use, as the kernel says.

use anyhow::{Context, Result};
use model::schema::Values;
use model::{Error, ErrorKind};
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::super::output;
use super::inside::STATUS;

pub(super) async fn cpusets(agent: Agent) -> Result<()> {
    let guests = agent
        .at(Verb::Get, "/nodes/{node}/lxc", Values::new())
        .await?;
    let guests = guests.data;
    let mut sets = Vec::new();
    for guest in guests.as_array().into_iter().flatten() {
        let Some(vmid) = guest["vmid"]
            .as_u64()
            .filter(|_| guest["status"] == "running")
        else {
            continue;
        };
        let status = agent.at(Verb::Get, STATUS, values([("vmid", vmid.into())]));
        let status = match status.await {
            Err(error) if is_absent(&error) => continue,
            status => status?.data,
        };
        if let Some(cpus) = allowed(&status)? {
            sets.push((vmid, cpus));
        }
    }
    sets.sort_unstable();
    output::print(&map(&sets))
}

/// Whether a container is not there any more.
fn is_absent(error: &anyhow::Error) -> bool {
    let said = error.downcast_ref::<Error>();
    said.is_some_and(|error| matches!(error.kind, ErrorKind::NotFound | ErrorKind::Absent))
}

/// The processors of a container's first process; none if it has ended meanwhile.
fn allowed(status: &Value) -> Result<Option<Vec<usize>>> {
    let Some(pid) = status["pid"].as_u64() else {
        return Ok(None);
    };
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
        return Ok(None);
    };
    let list = text
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map(|list| parse(list.trim())).transpose()
}

/// A list of the kernel's: `0-3,8`.
fn parse(list: &str) -> Result<Vec<usize>> {
    let mut all = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<usize>();
        let (first, last) = (number(first), number(last));
        all.extend(first.context("reading a processor")?..=last.context("reading a processor")?);
    }
    Ok(all)
}

/// A line for each container, a column for each processor.
fn map(sets: &[(u64, Vec<usize>)]) -> String {
    if sets.is_empty() {
        return "no running containers\n".to_owned();
    }
    let most = sets.iter().flat_map(|(_, cpus)| cpus).max();
    let most = most.copied().unwrap_or_default();
    let width = most.to_string().len();
    let names = sets.iter().map(|(vmid, _)| vmid.to_string().len()).max();
    let names = names.unwrap_or_default();
    let mut text = String::new();
    for (vmid, cpus) in sets {
        let mut line = format!("{vmid:>names$}:");
        for cpu in 0..=most {
            let shown = if cpus.contains(&cpu) {
                cpu.to_string()
            } else {
                String::new()
            };
            line.push_str(&format!(" {shown:>width$}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_is_gone_is_left_out() {
        assert!(is_absent(&Error::not_found("gone").into()));
        assert!(!is_absent(&Error::unavailable("no answer").into()));
        assert!(!is_absent(&anyhow::anyhow!("gone")));
    }

    #[test]
    fn processors_are_columns() {
        assert_eq!(parse("0-1,11").unwrap(), [0, 1, 11]);
        assert!(parse("x").is_err());
        let sets = [(99, vec![0, 1]), (100, vec![1, 2])];
        assert_eq!(map(&sets), " 99: 0 1\n100:   1 2\n");
        assert_eq!(map(&[]), "no running containers\n");
    }
}
