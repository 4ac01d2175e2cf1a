//! What history costs: CPU of samples, bytes on the disk. `./x bench history` runs it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench prints, fails where it stands and reads real time"
)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use history::{Consolidation, GUEST, History, Object, Origin, Sample, Timeframe};
use model::{UnixTime, VmId};
use rustix::time::{ClockId, clock_gettime};
use sys::{RealHost, SharedHost};

const GUESTS: u32 = 1_000;

/// A sample every ten seconds for half an hour and a minute.
const SAMPLES: i64 = 31 * 6;

/// What a year's graph has, in minutes.
const YEAR: i64 = 360 * 24 * 60;

const BEGIN: UnixTime = 86_400 * 20_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        println!("| what | guests | CPU each µs | ms |\n|---|---|---|---|");
        many().await;
        one_year().await;
    });
}

fn open(folder: &Path) -> History {
    let host: SharedHost = Arc::new(RealHost::open("ostler-bench").unwrap());
    History::new(host, folder.join("history"))
}

fn samples(guests: u32, seed: i64) -> Vec<Sample> {
    let sample = |number: u32| Sample {
        object: Object::Guest(VmId::new(100 + number).unwrap()),
        origin: Origin {
            created: 1,
            epoch: 1,
        },
        values: (0..GUEST.len())
            .map(|column| (column as i64 * seed) as f32)
            .collect(),
    };
    (0..guests).map(sample).collect()
}

fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        used.tv_sec.unsigned_abs(),
        used.tv_nsec.unsigned_abs() as u32,
    )
}

fn row(what: &str, guests: u32, cpu: Duration, elapsed: Duration) {
    let each = cpu.as_secs_f64() * 1e6 / f64::from(guests);
    println!(
        "| {what} | {guests} | {each:.1} | {:.1} |",
        elapsed.as_secs_f64() * 1e3
    );
}

/// All guests of a large node: the mean of all samples, and the most expensive one.
async fn many() {
    let folder = tempfile::tempdir().unwrap();
    let history = open(folder.path());
    let (mut all, mut worst) = (
        (Duration::ZERO, Duration::ZERO),
        (Duration::ZERO, Duration::ZERO),
    );
    for number in 0..SAMPLES {
        let samples = samples(GUESTS, number);
        let (before, begun) = (cpu(), Instant::now());
        history.record(BEGIN + number * 10, samples).await.unwrap();
        let took = (cpu() - before, begun.elapsed());
        // The first minute makes the files.
        if number > 6 {
            all = (all.0 + took.0, all.1 + took.1);
            worst = worst.max(took);
        }
    }
    let count = u32::try_from(SAMPLES - 7).unwrap();
    row("a sample", GUESTS, all.0 / count, all.1 / count);
    row("the most expensive sample", GUESTS, worst.0, worst.1);
}

/// The file of a guest that has run for a year, and its graphs.
async fn one_year() {
    let folder = tempfile::tempdir().unwrap();
    let history = open(folder.path());
    let (before, begun) = (cpu(), Instant::now());
    for minute in 0..YEAR {
        history
            .record(BEGIN + minute * 60, samples(1, minute))
            .await
            .unwrap();
    }
    let minutes = u32::try_from(YEAR).unwrap();
    row(
        "a minute of one guest",
        1,
        (cpu() - before) / minutes,
        begun.elapsed() / minutes,
    );
    let object = Object::Guest(VmId::new(100).unwrap());
    for (name, timeframe) in [
        ("hour", Timeframe::Hour),
        ("day", Timeframe::Day),
        ("year", Timeframe::Year),
    ] {
        let (before, begun) = (cpu(), Instant::now());
        let points = history.points(
            &object,
            timeframe,
            Consolidation::Average,
            BEGIN + YEAR * 60,
        );
        let points = points.await.unwrap();
        row(
            &format!("reading {} rows, {name}", points.len()),
            1,
            cpu() - before,
            begun.elapsed(),
        );
    }
    let file = std::fs::metadata(folder.path().join("history/guest/100")).unwrap();
    println!(
        "\nA guest after a year: {} bytes, {} on the disk; {GUESTS} guests: {} MB.",
        file.len(),
        file.blocks() * 512,
        u64::from(GUESTS) * file.blocks() * 512 / 1_000_000
    );
}
