//! Limits of a drive's throughput, in bytes and operations a second.

use serde_json::Value;

use crate::schema::{Field, Properties};

/// One limit: a steady rate, and a burst allowed for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// Per second; 0 for no limit.
    pub rate: u64,
    /// Per second, during a burst; 0 for none.
    pub burst: u64,
    /// How long a burst may last, in seconds.
    pub burst_seconds: u64,
}

/// All limits of a drive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttle {
    pub bytes: Limit,
    pub bytes_read: Limit,
    pub bytes_written: Limit,
    pub operations: Limit,
    pub reads: Limit,
    pub writes: Limit,
}

impl Throttle {
    /// Reads the limits of a drive. `mbps` is in MiB per second and overrides `bps`, as in Proxmox
    /// VE.
    pub(super) fn of(drive: &Properties) -> Self {
        Self {
            bytes: bytes(drive, ""),
            bytes_read: bytes(drive, "_rd"),
            bytes_written: bytes(drive, "_wr"),
            operations: operations(drive, ""),
            reads: operations(drive, "_rd"),
            writes: operations(drive, "_wr"),
        }
    }

    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a drive's key is a limit, so that two drives can be compared without limits.
    pub(super) fn is_key(field: &Field) -> bool {
        ["bps", "iops", "mbps"]
            .iter()
            .any(|stem| field.name.starts_with(stem))
    }
}

/// A limit for all, and the limits for reads and writes that it excludes. QEMU refuses a drive with
/// both.
const WHOLE_AND_PARTS: [(&str, [&str; 2]); 2] = [
    ("mbps", ["mbps_rd", "mbps_wr"]),
    ("iops", ["iops_rd", "iops_wr"]),
];

/// Converts limits in bytes to MiB, as they are stored. False if limits contradict each other.
pub(super) fn normalize(drive: &mut Properties, fields: &'static [Field]) -> bool {
    for of in ["", "_rd", "_wr"] {
        let (bytes, mebibytes) = (format!("bps{of}"), format!("mbps{of}"));
        let Some(rate) = drive.integer(&bytes) else {
            continue;
        };
        if drive.get(&mebibytes).is_some() {
            return false;
        }
        let rate = rate as f64 / f64::from(1 << 20);
        drive.remove(&bytes);
        drive.set(fields, &mebibytes, thousandths(rate));
    }
    let is_set = |key: &str| drive.number(key).is_some_and(|rate| rate != 0.0);
    !WHOLE_AND_PARTS
        .iter()
        .any(|(whole, parts)| is_set(whole) && parts.iter().any(|part| is_set(part)))
}

/// A number with at most three decimals, and none if it is whole.
fn thousandths(number: f64) -> Value {
    let rounded = (number * 1000.0).round() / 1000.0;
    if rounded.fract() == 0.0 {
        Value::from(rounded as i64)
    } else {
        Value::from(rounded)
    }
}

fn whole(drive: &Properties, key: &str) -> u64 {
    drive
        .integer(key)
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or(0)
}

fn mebibytes(drive: &Properties, key: &str) -> Option<u64> {
    // A float saturates when cast, so a huge or negative number still becomes a limit.
    drive
        .number(key)
        .map(|number| (number * f64::from(1 << 20)) as u64)
}

fn bytes(drive: &Properties, of: &str) -> Limit {
    let rate = mebibytes(drive, &format!("mbps{of}"));
    let rate = rate.unwrap_or_else(|| whole(drive, &format!("bps{of}")));
    let burst = mebibytes(drive, &format!("mbps{of}_max")).unwrap_or(0);
    limit(rate, burst, whole(drive, &format!("bps{of}_max_length")))
}

fn operations(drive: &Properties, of: &str) -> Limit {
    let rate = whole(drive, &format!("iops{of}"));
    let burst = whole(drive, &format!("iops{of}_max"));
    limit(rate, burst, whole(drive, &format!("iops{of}_max_length")))
}

/// QEMU accepts no higher limit, and no disk is that fast.
const RATE_MAX: u64 = 1_000_000_000_000_000;

/// QEMU refuses a burst without a rate, a burst below the rate, and a length without a burst.
fn limit(rate: u64, burst: u64, seconds: u64) -> Limit {
    let (rate, burst) = (rate.min(RATE_MAX), burst.min(RATE_MAX));
    match (rate, burst) {
        (0, _) => Limit::default(),
        (rate, burst) if burst <= rate => Limit {
            rate,
            ..Limit::default()
        },
        (rate, burst) => {
            // QEMU also bounds the total of one burst.
            let burst_seconds = seconds.clamp(1, RATE_MAX / burst);
            Limit {
                rate,
                burst,
                burst_seconds,
            }
        }
    }
}
