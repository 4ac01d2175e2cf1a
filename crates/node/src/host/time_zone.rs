//! The node's time zone: what its clocks show at a time, and when they show something.

use std::path::PathBuf;

use model::{Error, UnixTime};
use sys::{Command, SharedHost};

use crate::NodeContext;

const DAY_S: i64 = 86_400;

/// The file that the C library reads. A node in a root folder of its own has its own time zone.
pub fn link(node: &NodeContext) -> PathBuf {
    node.paths.root().join("etc/localtime")
}

/// The configured zone: the node's own, else the host's, else UTC.
pub async fn of(node: &NodeContext) -> Result<String, Error> {
    for path in [link(node), PathBuf::from("/etc/localtime")] {
        if node.host.stat(&path).await?.is_none() {
            continue;
        }
        let command = Command::new("readlink").arg(path.display().to_string());
        let output = node.host.run(command).await?;
        let target = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if let Some((_, zone)) = target.split_once("zoneinfo/") {
            return Ok(zone.to_owned());
        }
    }
    Ok("UTC".to_owned())
}

/// A zone's offset from UTC at each of these times, in seconds. One run of `date` answers for all.
pub async fn offsets_s(
    host: &SharedHost,
    timezone: &str,
    times: &[UnixTime],
) -> Result<Vec<i64>, Error> {
    if times.is_empty() || matches!(timezone, "UTC" | "Etc/UTC") {
        return Ok(vec![0; times.len()]);
    }
    let asked: String = times.iter().map(|at| format!("@{at}\n")).collect();
    let mut command = Command::new("date").args(["--file=-", "+%z"]).input(asked);
    command.env.push(("TZ".to_owned(), timezone.to_owned()));
    let printed = host.run(command).await?.checked("date")?;
    let text = String::from_utf8_lossy(&printed);
    let read: Option<Vec<i64>> = text.lines().map(parse_offset_s).collect();
    let read = read.filter(|offsets| offsets.len() == times.len());
    read.ok_or_else(|| Error::bug(format!("date printed '{}' for offsets", text.trim())))
}

/// The local time of a zone, in civil seconds.
pub async fn civil_s(host: &SharedHost, timezone: &str, at: UnixTime) -> Result<i64, Error> {
    Ok(at + offsets_s(host, timezone, &[at]).await?[0])
}

/// The times at which a zone's clocks show these civil seconds: the first of two if they do so
/// twice. A time that the clocks skip is converted as if they had not been put forward.
pub async fn times(
    host: &SharedHost,
    timezone: &str,
    civil: &[i64],
) -> Result<Vec<UnixTime>, Error> {
    let count = civil.len();
    let days = |by_s: i64| civil.iter().map(move |at| at + by_s);
    let around: Vec<i64> = days(-DAY_S).chain(days(DAY_S)).collect();
    let around = offsets_s(host, timezone, &around).await?;
    // By the offset of the day before, then by that of the day after.
    let read: Vec<UnixTime> = (0..2 * count)
        .map(|at| civil[at % count] - around[at])
        .collect();
    let there = offsets_s(host, timezone, &read).await?;
    let is_true = |at: usize| there[at] == around[at];
    let choose = |at: usize| match !is_true(at) && is_true(at + count) {
        true => read[at + count],
        false => read[at],
    };
    Ok((0..count).map(choose).collect())
}

/// Reads `+0530`.
pub fn parse_offset_s(text: &str) -> Option<i64> {
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
    use std::sync::Arc;

    use sys::Output;
    use testkit::{FakeHost, Faults};

    use super::*;

    /// Clocks an hour ahead, put forward from 1,000,000 to 2,000,000.
    fn date(_: &mut testkit::Disk, command: &Command) -> Output {
        let asked = String::from_utf8_lossy(&command.input).into_owned();
        let offset = |line: &str| match line[1..].parse::<i64>() {
            Ok(1_000_000..2_000_000) => "+0200\n",
            _ => "+0100\n",
        };
        Output {
            code: Some(0),
            stdout: asked.lines().map(offset).collect::<String>().into_bytes(),
            ..Output::default()
        }
    }

    #[tokio::test]
    async fn times_are_those_that_the_clocks_show() {
        let host: SharedHost = Arc::new(FakeHost::new(Faults::default()).program("date", date));
        let civil = [
            // Before, skipped, after.
            1_003_599, 1_003_600, 1_007_200, // Before, shown twice, after.
            2_003_599, 2_003_600, 2_007_199, 2_007_200,
        ];
        let found = times(&host, "Europe/Berlin", &civil).await.unwrap();
        assert_eq!(
            found,
            [
                999_999, 1_000_000, 1_000_000, 1_996_399, 1_996_400, 1_999_999, 2_003_600
            ]
        );
        assert_eq!(times(&host, "Etc/UTC", &civil).await.unwrap(), civil);
        assert_eq!(civil_s(&host, "Europe/Berlin", 5).await.unwrap(), 3605);
    }

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
