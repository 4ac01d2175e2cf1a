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

/// Writes the same values for each of the last minutes to the folder of a node.
pub async fn put_history(root: &Path, minutes: i64, objects: &[(Object, &[(&str, f32)])]) {
    let host: SharedHost = Arc::new(RealHost::open("ostler-past").unwrap());
    let history = History::new(host, root.join("var/lib/ostler/history"));
    let now = SystemClock::new().wall();
    for minute in (0..=minutes).rev() {
        let samples = objects.iter().map(|(object, known)| Sample {
            object: object.clone(),
            origin: Origin {
                created: 0,
                epoch: 1,
            },
            values: values(object, known),
        });
        history
            .record(now - minute * 60, samples.collect())
            .await
            .unwrap();
    }
}
