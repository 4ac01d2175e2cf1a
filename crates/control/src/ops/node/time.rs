//! `/nodes/{node}/time`

use std::path::{Path, PathBuf};

use model::{Error, NodeName, UnixTime};
use node::World;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;
use sys::{Command, FileKind};

use super::status::Node;
use crate::ops::Op;

/// Where the rules of all time zones are.
const ZONES: &str = "/usr/share/zoneinfo";

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    let world = &op.context.world;
    let timezone = timezone(world).await?;
    let time = op.context.clock.wall();
    let localtime = time + offset_s(world, &timezone, time).await?;
    Ok(Answer::new(
        json!({"timezone": timezone, "time": time, "localtime": localtime}),
    ))
}

#[derive(Deserialize)]
struct Update {
    node: NodeName,
    timezone: String,
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let Update { node, timezone } = op.params()?;
    op.context.check_node(&node)?;
    let world = &op.context.world;
    let rules = rules(world, &timezone).await?;
    let link = link(world);
    world
        .host
        .create_dir(&world.paths.root().join("etc"), 0o755)
        .await?;
    let (rules, link) = (rules.display().to_string(), link.display().to_string());
    world
        .host
        .run(Command::new("ln").args(["-sfn", &rules, &link]))
        .await?
        .checked("ln")?;
    Ok(Answer::null())
}

/// What the C library looks at. A node that lives below a folder has a time zone of its own.
fn link(world: &World) -> PathBuf {
    world.paths.root().join("etc/localtime")
}

/// The rules of a time zone, if there is such a one.
async fn rules(world: &World, timezone: &str) -> Result<PathBuf, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let is_word = |word: &str| !word.is_empty() && word.chars().all(is_plain);
    let path = Path::new(ZONES).join(timezone);
    let entry = match timezone.split('/').all(is_word) {
        true => world.host.stat(&path).await?,
        false => None,
    };
    match entry {
        // Many zones are links to others.
        Some(entry) if entry.kind != FileKind::Directory => Ok(path),
        _ => Err(Error::invalid(
            "timezone",
            format!("no such timezone '{timezone}'"),
        )),
    }
}

/// The zone that is set: the node's own, else the host's, else UTC.
pub(in crate::ops) async fn timezone(world: &World) -> Result<String, Error> {
    for path in [link(world), PathBuf::from("/etc/localtime")] {
        if world.host.stat(&path).await?.is_none() {
            continue;
        }
        let command = Command::new("readlink").arg(path.display().to_string());
        let output = world.host.run(command).await?;
        let target = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if let Some((_, zone)) = target.split_once("zoneinfo/") {
            return Ok(zone.to_owned());
        }
    }
    Ok("UTC".to_owned())
}

/// How far a zone's clocks are ahead of UTC at a time, in seconds.
pub(in crate::ops) async fn offset_s(
    world: &World,
    timezone: &str,
    at: UnixTime,
) -> Result<i64, Error> {
    if timezone == "UTC" {
        return Ok(0);
    }
    let mut command = Command::new("date").args(["-d", &format!("@{at}"), "+%z"]);
    command.env.push(("TZ".to_owned(), timezone.to_owned()));
    let printed = world.host.run(command).await?.checked("date")?;
    let text = String::from_utf8_lossy(&printed);
    let read = parse_offset_s(text.trim());
    read.ok_or_else(|| Error::bug(format!("date printed '{}' for an offset", text.trim())))
}

/// Reads `+0530`.
fn parse_offset_s(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_signs_and_minutes() {
        assert_eq!(parse_offset_s("+0530"), Some(19_800));
        assert_eq!(parse_offset_s("-0330"), Some(-12_600));
        assert_eq!(
            (parse_offset_s("+0000"), parse_offset_s("UTC")),
            (Some(0), None)
        );
    }
}
