//! The walk: a task is run once for every call it makes and every way that call can break.
//!
//! ```text
//!   clean run        → N calls, the world as it is `before` and `after`
//!   for n in 0..N, for every Fault:
//!       the world as `before`; call n breaks; the engine is opened again if the process died
//!       the task ends, and the world is `before` (it failed) or `after` (it went through)
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use model::Upid;
use tasks::{Engine, TaskState};

use crate::{Fault, Faults};

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One task's scene: the same world again and again.
pub trait Scene: Send + Sync {
    type World: Send + Sync + 'static;

    /// Opens the engine on the scene's world; called again after a death.
    fn open(&self) -> Waiting<'_, Arc<Engine<Self::World>>>;

    /// Submits the task.
    fn submit<'a>(
        &'a self,
        engine: &'a Engine<Self::World>,
    ) -> Waiting<'a, Result<Upid, model::Error>>;

    /// All that could be an orphan, one line each.
    fn inventory(&self) -> Waiting<'_, Vec<String>>;

    fn faults(&self) -> &Faults;
}

/// How many breaks of each kind were tried.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Walked {
    pub calls: usize,
    pub breaks: usize,
    pub failed: usize,
    pub went_through: usize,
}

/// Walks a task. `scene` makes a fresh world each time. Panics where something is left over or
/// lost, naming the call and the fault.
pub async fn walk<S: Scene>(scene: impl Fn() -> Waiting<'static, S>) -> Walked {
    let clean = scene().await;
    let before = clean.inventory().await;
    clean.faults().reset();
    let status = run(&clean, None).await;
    assert_eq!(status, "OK", "the task must go through when nothing breaks");
    let calls = clean.faults().calls();
    let after = clean.inventory().await;
    let mut walked = Walked {
        calls: calls.len(),
        ..Walked::default()
    };
    for (number, call) in calls.iter().enumerate() {
        for fault in Fault::ALL {
            let scene = scene().await;
            let status = run(&scene, Some((number, fault))).await;
            let went_through = status == "OK" || status.starts_with("WARNINGS");
            let wanted = if went_through { &after } else { &before };
            let found = scene.inventory().await;
            assert_eq!(
                &found, wanted,
                "after {fault:?} at call {number} ({call}), which ended with: {status}"
            );
            walked.breaks += 1;
            *(if went_through {
                &mut walked.went_through
            } else {
                &mut walked.failed
            }) += 1;
        }
    }
    walked
}

/// Runs the task to its end, through a death if there is one; answers its exit status, or the
/// error of a submission that was refused.
async fn run<S: Scene>(scene: &S, broken: Option<(usize, Fault)>) -> String {
    let engine = scene.open().await;
    scene.faults().reset();
    if let Some((number, fault)) = broken {
        scene.faults().break_call(number, fault);
    }
    let work = async {
        let upid = scene.submit(&engine).await?;
        engine.wait(&upid).await
    };
    let ended = tokio::select! {
        ended = work => Some(ended),
        () = scene.faults().death() => None,
    };
    match ended {
        Some(Ok(summary)) => exit_status(&summary.state),
        Some(Err(error)) => error.to_string(),
        None => {
            drop(engine);
            scene.faults().revive();
            recover(scene).await
        }
    }
}

/// Opens the engine again and waits until nothing runs.
async fn recover<S: Scene>(scene: &S) -> String {
    let engine = scene.open().await;
    let all = tasks::TaskFilter {
        running: true,
        ended: true,
        ..Default::default()
    };
    let newest = engine.list(&all).into_iter().next();
    let Some(newest) = newest else {
        return "never accepted".to_owned();
    };
    match engine.wait(&newest.upid).await {
        Ok(summary) => exit_status(&summary.state),
        Err(error) => error.to_string(),
    }
}

fn exit_status(state: &TaskState) -> String {
    match state {
        TaskState::Ended { status, .. } => status.clone(),
        other => format!("{other:?}"),
    }
}
