//! Recording is cheap: a limit that only a mistake reaches.

use std::sync::Arc;
use std::time::Duration;

use history::{GUEST, History, Object, Origin, Sample};
use model::VmId;
use rustix::time::{ClockId, clock_gettime};
use sys::{RealHost, SharedHost};

const GUESTS: u32 = 1_000;

/// Ten times what is wanted, for a program that is not optimised.
const LIMIT_US: f64 = 300.0;

fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        used.tv_sec.unsigned_abs(),
        used.tv_nsec.unsigned_abs() as u32,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_of_a_thousand_guests() {
    let Ok(host) = RealHost::open("ostler-cost") else {
        return testkit::left_out::missing("cost of history", "no control groups");
    };
    let folder = tempfile::tempdir().unwrap();
    let host: SharedHost = Arc::new(host);
    let history = History::new(host, folder.path().join("history"));
    let sample = |number: u32| Sample {
        object: Object::Guest(VmId::new(100 + number).unwrap()),
        origin: Origin {
            created: 1,
            epoch: 1,
        },
        values: vec![0.5; GUEST.len()],
    };
    let mut used = Duration::ZERO;
    // The first minute makes the files; the second and the third are measured.
    for second in (0..=180).step_by(10) {
        let samples = (0..GUESTS).map(sample).collect();
        let before = cpu();
        history
            .record(86_400 * 20_000 + 1 + second, samples)
            .await
            .unwrap();
        if second > 60 {
            used += cpu() - before;
        }
    }
    let each_us = used.as_secs_f64() * 1e6 / 12.0 / f64::from(GUESTS);
    assert!(
        each_us < LIMIT_US,
        "{each_us:.0} µs of CPU a guest and sample"
    );
}
