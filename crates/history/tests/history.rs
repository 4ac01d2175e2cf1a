//! Histories on a host in memory.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use history::{Consolidation, GUEST, History, Kind, Object, Origin, Point, Sample, Timeframe};
use model::{UnixTime, VmId};
use sys::SharedHost;
use testkit::{FakeHost, Faults};

/// The end of a day, a half hour and a minute.
const DAY: UnixTime = 86_400 * 20_000;

const ORIGIN: Origin = Origin {
    created: 17,
    epoch: 1,
};

struct Bed {
    host: SharedHost,
    history: History,
}

fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

impl Bed {
    async fn new() -> Self {
        let host: SharedHost = Arc::new(FakeHost::new(Faults::default()));
        host.create_dir(Path::new("/state"), 0o755).await.unwrap();
        let history = History::new(host.clone(), "/state/history".into());
        Self { host, history }
    }

    /// The agent starts again: what it had in memory is gone.
    fn restart(&mut self) {
        self.history = History::new(self.host.clone(), "/state/history".into());
    }

    async fn record(&self, at: UnixTime, cpu: f32) -> Vec<VmId> {
        self.record_as(at, cpu, ORIGIN).await
    }

    async fn record_as(&self, at: UnixTime, cpu: f32, origin: Origin) -> Vec<VmId> {
        let mut values = vec![f32::NAN; GUEST.len()];
        values[Kind::Guest.column("cpu").unwrap()] = cpu;
        let object = Object::Guest(vmid());
        let sample = Sample {
            object,
            origin,
            values,
        };
        self.history.record(at, vec![sample]).await.unwrap().moved
    }

    async fn points(&self, timeframe: Timeframe, of: Consolidation, now: UnixTime) -> Vec<Point> {
        let object = Object::Guest(vmid());
        let points = self.history.points(&object, timeframe, of, now);
        points.await.unwrap()
    }

    /// The known processor use, by time.
    async fn cpu(&self, timeframe: Timeframe, now: UnixTime) -> Vec<(UnixTime, f32)> {
        let points = self.points(timeframe, Consolidation::Average, now).await;
        let known = points.iter().filter(|point| !point.is_unknown());
        known.map(|point| (point.time, point.values[0])).collect()
    }
}

fn file() -> PathBuf {
    "/state/history/guest/100".into()
}

#[tokio::test]
async fn an_hour_is_sixty_minutes_that_end_with_the_last_full_one() {
    let bed = Bed::new().await;
    for second in 1..=130 {
        bed.record(DAY + second, second as f32).await;
    }
    let points = bed
        .points(Timeframe::Hour, Consolidation::Average, DAY + 130)
        .await;
    assert_eq!(points.len(), 60);
    assert_eq!(
        (points[0].time, points[59].time),
        (DAY - 59 * 60 + 120, DAY + 120)
    );
    assert_eq!(points[58].values[0], 30.5);
    assert_eq!(points[59].values[0], 90.5);
    assert!(points[57].is_unknown());
    // Nothing is known of the minute that has just ended: it is left out.
    let later = bed
        .points(Timeframe::Hour, Consolidation::Average, DAY + 180)
        .await;
    assert_eq!((later.len(), later[58].values[0]), (59, 90.5));
}

#[tokio::test]
async fn coarser_rows_are_made_as_soon_as_their_time_is_over() {
    let bed = Bed::new().await;
    for minute in 1..=361 {
        let cpu = if minute == 7 { 0.9 } else { 0.1 };
        bed.record(DAY + minute * 60, cpu).await;
    }
    let now = DAY + 361 * 60;
    let week = bed.cpu(Timeframe::Week, now).await;
    assert_eq!(week.len(), 12);
    assert_eq!((week[0].0, week[11].0), (DAY + 1800, DAY + 21_600));
    let peaks = bed.points(Timeframe::Week, Consolidation::Max, now).await;
    let peak = peaks.iter().find(|point| point.time == DAY + 1800).unwrap();
    assert_eq!(peak.values[0], 0.9);
    let year = bed.cpu(Timeframe::Year, now).await;
    assert_eq!(year.len(), 1);
    assert!(
        (year[0].1 - (0.1 * 359.0 + 0.9) / 360.0).abs() < 1e-5,
        "{year:?}"
    );
    let month = bed
        .points(Timeframe::Month, Consolidation::Average, now)
        .await;
    assert_eq!(month.len(), 1440);
}

#[tokio::test]
async fn a_restart_loses_the_minute_that_was_not_written() {
    let mut bed = Bed::new().await;
    for minute in 1..=20 {
        bed.record(DAY + minute * 60, 0.5).await;
    }
    bed.restart();
    // The half hour has ended in between. It is made of what was written of it.
    bed.record(DAY + 40 * 60, 0.7).await;
    bed.record(DAY + 41 * 60, 0.7).await;
    let now = DAY + 41 * 60;
    assert_eq!(bed.cpu(Timeframe::Week, now).await, [(DAY + 1800, 0.5)]);
    let hour = bed.cpu(Timeframe::Hour, now).await;
    assert_eq!(hour.len(), 20);
    assert_eq!(hour[19], (DAY + 40 * 60, 0.7));
    assert!(hour.iter().all(|(time, _)| *time != DAY + 20 * 60));
}

#[tokio::test]
async fn the_ring_forgets_the_day_before() {
    let bed = Bed::new().await;
    for minute in 0..1500 {
        bed.record(DAY + minute * 60, minute as f32).await;
    }
    let now = DAY + 1499 * 60;
    let day = bed.cpu(Timeframe::Day, now).await;
    assert_eq!(day.len(), 1439);
    assert_eq!(day[0], (DAY + 60 * 60, 60.0));
    // A whole turn later all of it is of the day before.
    assert_eq!(bed.cpu(Timeframe::Day, now + 86_400).await, []);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside() {
    let bed = Bed::new().await;
    bed.record(DAY, 0.5).await;
    bed.record(DAY + 60, 0.5).await;
    bed.host
        .write(&file(), b"what the disk made of it", 0o600)
        .await
        .unwrap();
    bed.record(DAY + 120, 0.5).await;
    let aside = bed
        .host
        .read(Path::new("/state/history/damaged/guest-100"))
        .await;
    assert_eq!(aside.unwrap(), b"what the disk made of it");
    assert_eq!(bed.cpu(Timeframe::Hour, DAY + 120).await, [(DAY + 60, 0.5)]);
    bed.host.write(&file(), b"again", 0o600).await.unwrap();
    assert_eq!(bed.cpu(Timeframe::Hour, DAY + 120).await, []);
    let aside = bed
        .host
        .read(Path::new("/state/history/damaged/guest-100"))
        .await;
    assert_eq!(aside.unwrap(), b"again");
}

#[tokio::test]
async fn a_damaged_row_is_a_gap() {
    let bed = Bed::new().await;
    for minute in 0..4 {
        bed.record(DAY + minute * 60, 0.5).await;
    }
    let mut content = bed.host.read(&file()).await.unwrap();
    // The first minute is in the last row of its archive, the second in the first one.
    content[64 + 20] ^= 1;
    bed.host.write(&file(), &content, 0o600).await.unwrap();
    let hour = bed.cpu(Timeframe::Hour, DAY + 180).await;
    assert_eq!(hour, [(DAY, 0.5), (DAY + 120, 0.5)]);
}

#[tokio::test]
async fn another_guest_of_the_same_number_begins_anew() {
    let bed = Bed::new().await;
    bed.record(DAY, 0.5).await;
    bed.record(DAY + 60, 0.5).await;
    let other = Origin {
        created: 18,
        ..ORIGIN
    };
    bed.record_as(DAY + 120, 0.9, other).await;
    bed.record_as(DAY + 180, 0.9, other).await;
    assert_eq!(
        bed.cpu(Timeframe::Hour, DAY + 180).await,
        [(DAY + 120, 0.9)]
    );
    assert_eq!(bed.history.export(vmid(), 17).await.unwrap(), None);
    bed.history.forget(&Object::Guest(vmid())).await.unwrap();
    assert_eq!(bed.history.guests().await.unwrap(), []);
}

#[tokio::test]
async fn a_guest_that_moves_keeps_its_history() {
    let (one, other) = (Bed::new().await, Bed::new().await);
    for minute in 1..=29 {
        assert_eq!(one.record(DAY + minute * 60, 0.5).await, []);
    }
    let moved = Origin { epoch: 2, ..ORIGIN };
    for minute in 29..=31 {
        let unsettled = other.record_as(DAY + minute * 60, 0.9, moved).await;
        assert_eq!(unsettled.len(), usize::from(minute > 29));
    }
    let file = one.history.export(vmid(), 17).await.unwrap().unwrap();
    other.history.import(vmid(), 17, &file).await.unwrap();
    other.history.settle(vmid(), moved).await.unwrap();
    assert_eq!(other.record_as(DAY + 32 * 60, 0.9, moved).await, []);
    let hour = other.cpu(Timeframe::Hour, DAY + 31 * 60).await;
    assert_eq!(hour.len(), 31);
    assert_eq!((hour[27].1, hour[28].1), (0.5, 0.9));
    let refused = other.history.import(vmid(), 18, &file).await.unwrap_err();
    assert_eq!(refused.message, "it is the history of something else");
    assert!(other.history.import(vmid(), 17, b"none").await.is_err());
}

#[tokio::test]
async fn a_clock_that_jumps_back_overwrites_and_harms_nothing() {
    let bed = Bed::new().await;
    for minute in [1, 2, 5_000, 3, 4] {
        bed.record(DAY + minute * 60, minute as f32).await;
    }
    let day = bed.cpu(Timeframe::Day, DAY + 5 * 60).await;
    let minutes: Vec<f32> = day.iter().map(|(_, cpu)| *cpu).collect();
    assert_eq!(minutes, [1.0, 2.0, 3.0]);
}
