//! `GET /cluster/jobs/schedule-analyze`

use model::Error;
use model::calendar::{CalendarEvent, asctime};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;
use crate::ops::node::time;

/// How many times are shown where nobody says.
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
    let world = &op.context.world;
    let timezone = time::timezone(world).await?;
    let mut at = wanted.starttime.unwrap_or_else(|| op.context.clock.wall());
    let mut rows: Vec<Value> = Vec::new();
    while rows.len() < wanted.iterations.unwrap_or(ITERATIONS) {
        let ahead_s = time::offset_s(world, &timezone, at).await?;
        let Some(civil_s) = event.next_after(at.saturating_add(ahead_s)) else {
            break;
        };
        // The clocks may be changed between now and then.
        let ahead_s = time::offset_s(world, &timezone, civil_s - ahead_s).await?;
        at = (civil_s - ahead_s).max(at + 1);
        rows.push(json!({"timestamp": at, "utc": asctime(at)}));
    }
    Ok(Answer::new(rows))
}
