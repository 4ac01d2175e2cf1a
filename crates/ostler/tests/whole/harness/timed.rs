//! How long a task takes, by its end as the agent writes it down: asking after it would cost the
//! agent what is to be measured.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::TestNode;

/// How often the file is looked at that a task's end is written to.
const LOOK: Duration = Duration::from_micros(200);

/// From the request until the task has ended, and well.
pub async fn timed(node: &TestNode, op: &str, params: Value) -> Duration {
    let index = node.root.join("var/lib/ostler/tasks/index");
    let length = || std::fs::metadata(&index).map_or(0, |file| file.len());
    let before = length();
    let begun = Instant::now();
    let upid = node.call(op, params).await.unwrap().data;
    while length() == before {
        tokio::time::sleep(LOOK).await;
    }
    let took = begun.elapsed();
    assert_eq!(node.ended(upid.as_str().unwrap()).await, "OK", "{op}");
    took
}
