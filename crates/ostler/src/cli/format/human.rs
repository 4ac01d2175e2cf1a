//! Human-readable numbers. The unit follows from the field's name, which has the same meaning
//! everywhere in the API.

use serde_json::Value;

const BYTES: &[&str] = &[
    "avail",
    "balloon",
    "disk",
    "diskread",
    "diskwrite",
    "free",
    "maxdisk",
    "maxmem",
    "maxswap",
    "mem",
    "memhost",
    "netin",
    "netout",
    "size",
    "swap",
    "total",
    "used",
];
const SHARES: &[&str] = &["cpu", "used_fraction", "wait"];
const DURATIONS: &[&str] = &["uptime"];
const TIMES: &[&str] = &["ctime", "endtime", "expire", "snaptime", "starttime"];

/// The text for a number in a field of this name; none for other values and fields without a unit.
pub(super) fn value(name: &str, value: &Value) -> Option<String> {
    let number = value.as_f64()?;
    if BYTES.contains(&name) {
        Some(bytes(number))
    } else if SHARES.contains(&name) {
        Some(format!("{:.2}%", number * 100.0))
    } else if DURATIONS.contains(&name) {
        value.as_u64().map(duration)
    } else if name == "expire" && number == 0.0 {
        Some("never".to_owned())
    } else if TIMES.contains(&name) {
        value.as_i64().map(time)
    } else {
        None
    }
}

/// `1.50 GiB`
pub(crate) fn bytes(mut count: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    while count.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        count /= 1024.0;
        unit += 1;
    }
    format!("{count:.2} {}", UNITS[unit])
}

/// `1d 2h 3m 4s`, without leading parts that are zero.
pub(crate) fn duration(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3_600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let parts: Vec<String> = parts[first..]
        .iter()
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    parts.join(" ")
}

/// `2026-11-21 02:45:07 UTC`
pub(crate) fn time(unix: i64) -> String {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let (year, month, day) = model::calendar::civil_date(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(bytes(0.0), "0.00 B");
        assert_eq!(bytes(1536.0 * 1024.0 * 1024.0), "1.50 GiB");
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(93_784), "1d 2h 3m 4s");
        assert_eq!(duration(3_600), "1h 0m 0s");
    }

    #[test]
    fn times_over_leap_years_and_before_the_epoch() {
        for (unix, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (1_795_217_035, "2026-11-20 23:23:55 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(time(unix), text);
        }
    }

    #[test]
    fn only_what_counts_something_is_rewritten() {
        assert_eq!(value("cpu", &0.125.into()).unwrap(), "12.50%");
        assert_eq!(value("expire", &0.into()).unwrap(), "never");
        assert_eq!(value("vmid", &100.into()), None);
        assert_eq!(value("size", &"32G".into()), None);
    }
}
