//! `GET /cluster/jobs/schedule-analyze`

use model::Error;
use model::calendar::{CalendarEvent, LATEST_S, asctime};
use node::host::time_zone;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

/// How many times are listed by default.
const ITERATIONS: usize = 10;

#[derive(Deserialize)]
struct Analyze {
    schedule: String,
    iterations: Option<usize>,
    starttime: Option<i64>,
}

pub(super) async fn schedule_analyze(op: Op) -> Result<Answer, Error> {
    let wanted: Analyze = op.params()?;
    let event = CalendarEvent::parse(&wanted.schedule)
        .map_err(|reason| Error::invalid("schedule", reason))?;
    let at = wanted.starttime.unwrap_or_else(|| op.context.clock.wall());
    if !(0..LATEST_S).contains(&at) {
        let text = format!("must be from 0 to {}", LATEST_S - 1);
        return Err(Error::invalid("starttime", text));
    }
    let node = &op.context.node;
    let timezone = time_zone::of(node).await?;
    let first = event.next_after(time_zone::civil_s(&node.host, &timezone, at).await?);
    let civil = std::iter::successors(first, |at| event.next_after(*at));
    let civil: Vec<i64> = civil
        .take(wanted.iterations.unwrap_or(ITERATIONS))
        .collect();
    let mut times = time_zone::times(&node.host, &timezone, &civil).await?;
    // A time that the clocks skip may come out later than the following one.
    times.sort_unstable();
    times.dedup();
    let row = |at: i64| json!({"timestamp": at, "utc": asctime(at)});
    Ok(Answer::new(times.into_iter().map(row).collect::<Vec<_>>()))
}
