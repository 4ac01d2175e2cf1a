//! What keeps the clock right.

use serde::Serialize;
use sys::{Command, SharedHost};

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Time {
    /// The clock follows a source; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronised: Option<bool>,
    /// The program that sees to it: `chrony`, `systemd-timesyncd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What the clock follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How far it is off, as last measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_s: Option<f64>,
}

pub(super) async fn time(host: &SharedHost) -> Time {
    let said = async |command: Command| {
        let output = host.run(command).await.ok()?;
        let said = output.checked("a program for the time").ok()?;
        Some(String::from_utf8_lossy(&said).into_owned())
    };
    if let Some(tracking) = said(Command::new("chronyc").args(["-c", "tracking"])).await {
        return of_chrony(&tracking);
    }
    let show = Command::new("timedatectl").args(["show"]);
    said(show)
        .await
        .map(|shown| of_systemd(&shown))
        .unwrap_or_default()
}

/// Reads what `chronyc -c tracking` prints: id, name of the source, stratum, time, offset, … and
/// at the end whether the clock is in step.
fn of_chrony(tracking: &str) -> Time {
    let fields: Vec<&str> = tracking.trim().split(',').collect();
    let is_in_step = fields
        .last()
        .is_some_and(|leap| *leap != "Not synchronised");
    let of_source = |at: usize| fields.get(at).filter(|_| is_in_step);
    Time {
        synchronised: Some(is_in_step),
        by: Some("chrony".to_owned()),
        source: of_source(1)
            .filter(|name| !name.is_empty())
            .map(|name| (*name).to_owned()),
        offset_s: of_source(4).and_then(|offset| offset.parse().ok()),
    }
}

/// Reads what `timedatectl show` prints.
fn of_systemd(shown: &str) -> Time {
    let is_yes = |key: &str| {
        let mut lines = shown.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value == "yes")
    };
    let is_kept = is_yes("NTP") == Some(true);
    Time {
        synchronised: is_yes("NTPSynchronized"),
        by: is_kept.then(|| "systemd-timesyncd".to_owned()),
        ..Time::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: S4.34
    #[test]
    fn chrony_names_its_source_while_it_follows_one() {
        let line = "C0A80001,ntp.example,2,1764382000.1,0.000012345,0.0001,0.0002,-3.2,0.001,0.02,\
                    0.01,0.002,64.1,Normal\n";
        let time = of_chrony(line);
        assert_eq!(time.synchronised, Some(true));
        assert_eq!(time.source.as_deref(), Some("ntp.example"));
        assert_eq!(time.offset_s, Some(0.000_012_345));
        let lost =
            of_chrony("00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,0.0,Not synchronised");
        assert_eq!((lost.synchronised, lost.source), (Some(false), None));
    }

    #[test]
    fn systemd_says_whether_the_clock_is_in_step() {
        let time = of_systemd("Timezone=UTC\nNTP=yes\nNTPSynchronized=no\n");
        assert_eq!(time.synchronised, Some(false));
        assert_eq!(time.by.as_deref(), Some("systemd-timesyncd"));
        assert_eq!(of_systemd("NTP=no\nNTPSynchronized=yes").by, None);
        assert_eq!(of_systemd("").synchronised, None);
    }
}
