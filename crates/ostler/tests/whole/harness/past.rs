//! History that an earlier agent has left.

use std::path::Path;
use std::sync::Arc;

use history::{History, Object, Origin, Sample};
use model::Clock;
use sys::{RealHost, SharedHost, SystemClock};

/// A value for these columns, and none for the others.
pub fn values(object: &Object, known: &[(&str, f32)]) -> Vec<f32> {
    let value = |column: &&str| known.iter().find(|(name, _)| name == column);
    let columns = object.kind().columns().iter();
    columns
        .map(|column| value(column).map_or(f32::NAN, |(_, value)| *value))
        .collect()
}

/// What was measured of an object in a minute.
pub type Past = (Object, Origin, Vec<(&'static str, f32)>);

/// Of a guest that has no record of its creation.
const NO_ORIGIN: Origin = Origin {
    created: 0,
    epoch: 1,
};

/// Writes the same values for each of these minutes to the folder of a node. A minute is named by
/// how long ago it was; the oldest comes first.
pub async fn put_history(
    root: &Path,
    minutes: impl IntoIterator<Item = i64>,
    objects: &[(Object, &[(&'static str, f32)])],
) {
    let same = |_| {
        let objects = objects.iter();
        let past = |(object, known): &(Object, &[_])| (object.clone(), NO_ORIGIN, known.to_vec());
        objects.map(past).collect()
    };
    put_past(root, minutes, same).await;
}

/// The same with other values for each minute.
pub async fn put_past(
    root: &Path,
    minutes: impl IntoIterator<Item = i64>,
    of: impl Fn(i64) -> Vec<Past>,
) {
    let host: SharedHost = Arc::new(RealHost::open("ostler-past").unwrap());
    let history = History::new(host, root.join("var/lib/ostler/history"));
    let now = SystemClock::new().wall();
    for minute in minutes {
        let samples = of(minute)
            .into_iter()
            .map(|(object, origin, known)| Sample {
                values: values(&object, &known),
                object,
                origin,
            });
        let samples = samples.collect();
        history.record(now - minute * 60, samples).await.unwrap();
    }
}

/// Whose history a guest's file has: its header says it.
pub fn origin_of(root: &Path, vmid: u32) -> Option<Origin> {
    let file = root.join(format!("var/lib/ostler/history/guest/{vmid}"));
    let header = std::fs::read(file).ok()?;
    let number = |at: usize| header.get(at..at + 8)?.try_into().ok();
    Some(Origin {
        created: i64::from_le_bytes(number(12)?),
        epoch: u64::from_le_bytes(number(20)?),
    })
}
