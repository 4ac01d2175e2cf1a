//! Recovers a task of a dead process.

use std::sync::Arc;

use model::Error;

use crate::engine::{Engine, objects};
use crate::journal::Standing;
use crate::registry::Recovery;
use crate::run::{INTERRUPTED, Runner};
use crate::{Task, Turn};

/// Takes the task's place in the queue at once; the rest happens in the returned future.
pub(crate) fn recover<T: Task>(
    engine: Arc<Engine<T::Node>>,
    n: u64,
    standing: Standing,
) -> Result<Recovery, Error> {
    let task: T = serde_json::from_value(standing.task.clone()).map_err(|error| {
        Error::bug(format!(
            "the journal of {} cannot be read: {error}",
            T::NAME
        ))
    })?;
    let turn = engine.queue.resume(objects(&task), T::KIND, T::IS_URGENT);
    let accepted = &standing.accepted;
    let journal = engine.journal(n);
    let runner = Runner::new(
        engine,
        journal,
        accepted.upid.clone(),
        accepted.request_id.clone(),
        accepted.listed,
    );
    Ok(Box::pin(run_again(runner, turn, standing, task)))
}

async fn run_again<T: Task>(runner: Runner<T::Node>, turn: Turn, standing: Standing, mut task: T) {
    let kinds = task.clone();
    let hold = turn.wait(move |kind| kinds.excludes(kind)).await;
    runner.begin(hold);
    runner.cx.log("the agent was restarted; recovering").await;
    // Children of the dead process could still change the host meanwhile: nothing is decided before
    // they have ended.
    runner.end_children().await;
    let error = standing
        .failed
        .clone()
        .unwrap_or_else(|| INTERRUPTED.to_owned());
    if standing.failed.is_some() {
        return runner
            .take_back(&task, standing.planned, Error::conflict(error))
            .await;
    }
    if !is_past_return(&runner, &standing, &mut task).await {
        return runner
            .take_back(&task, standing.planned, Error::conflict(error))
            .await;
    }
    let (done, planned) = (standing.done, standing.planned);
    match runner.forward(&mut task, done, planned).await {
        Ok(()) => runner.succeed(&task).await,
        Err((planned, error)) => runner.take_back(&task, planned, error).await,
    }
}

/// Whether enough steps are done to go forward. The last one may be done although the journal does
/// not say so; then it is probed until there is an answer.
async fn is_past_return<T: Task>(
    runner: &Runner<T::Node>,
    standing: &Standing,
    task: &mut T,
) -> bool {
    let needed = T::steps().point_of_no_return();
    if standing.done >= needed {
        return true;
    }
    let last_was_begun = standing.done + 1 == needed && standing.planned == needed;
    last_was_begun && runner.is_done_at_last(task, needed - 1).await
}
