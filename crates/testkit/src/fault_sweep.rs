//! The fault sweep: a task is run once for every call it makes and every way that call can break.
//!
//! ```text
//!   clean run        → N calls, the state `before` and `after`
//!   for n in 0..N, for every Fault:
//!       the state as `before`; call n breaks; the engine is opened again if the process died
//!       the task ends, and the state is `before` (it failed) or `after` (it succeeded)
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use model::Upid;
use tasks::{Engine, TaskState};

use crate::{Fault, Faults};

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The scene of a sweep: a fresh and equal world for each run.
pub trait Scene: Send + Sync {
    type Node: Send + Sync + 'static;

    /// Opens the engine on the scene's world; called again after a death.
    fn open(&self) -> Waiting<'_, Arc<Engine<Self::Node>>>;

    /// Submits the task.
    fn submit<'a>(
        &'a self,
        engine: &'a Engine<Self::Node>,
    ) -> Waiting<'a, Result<Upid, model::Error>>;

    /// Everything that could be an orphan, one line each.
    fn inventory(&self) -> Waiting<'_, Vec<String>>;

    fn faults(&self) -> &Faults;

    /// Whether the state is valid although it is neither as before nor as after: the task's
    /// follow-up may have been undone.
    fn is_also_well(&self, _inventory: &[String]) -> bool {
        false
    }
}

/// How many faults of each kind were tried.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub calls: usize,
    pub breaks: usize,
    pub failed: usize,
    pub went_through: usize,
}

/// Sweeps a task. `scene` makes a fresh world for each run. Panics if something is left over or
/// lost, naming the call and the fault.
pub async fn sweep_faults<S: Scene>(scene: impl Fn() -> Waiting<'static, S>) -> Swept {
    let clean = scene().await;
    let before = clean.inventory().await;
    clean.faults().reset();
    let status = run(&clean, None).await;
    assert!(
        is_through(&status),
        "the task must go through when nothing breaks: {status}"
    );
    let calls = clean.faults().calls();
    let after = clean.inventory().await;
    let mut swept = Swept {
        calls: calls.len(),
        ..Swept::default()
    };
    for (number, call) in calls.iter().enumerate() {
        for &fault in Fault::of(call) {
            let scene = scene().await;
            let status = run(&scene, Some((number, fault))).await;
            let went_through = is_through(&status);
            let wanted = if went_through { &after } else { &before };
            let found = scene.inventory().await;
            if !scene.is_also_well(&found) {
                let place = format!("{fault:?} at call {number} ({call})");
                assert_eq!(&found, wanted, "after {place}, which ended with: {status}");
            }
            swept.breaks += 1;
            *(if went_through {
                &mut swept.went_through
            } else {
                &mut swept.failed
            }) += 1;
        }
    }
    swept
}

fn is_through(status: &str) -> bool {
    status == "OK" || status.starts_with("WARNINGS")
}

/// Runs the task to its end, possibly through a death; returns its exit status, or the error of a
/// refused submission.
async fn run<S: Scene>(scene: &S, broken: Option<(usize, Fault)>) -> String {
    let engine = scene.open().await;
    scene.faults().reset();
    if let Some((number, fault)) = broken {
        scene.faults().break_call(number, fault);
    }
    let work = async {
        let upid = scene.submit(&engine).await?;
        engine.wait(&upid).await?;
        Ok::<_, model::Error>(settle(&engine).await)
    };
    let ended = tokio::select! {
        ended = work => Some(ended),
        () = scene.faults().death() => None,
    };
    match ended {
        Some(Ok(status)) => status,
        Some(Err(error)) => error.to_string(),
        None => {
            drop(engine);
            scene.faults().revive();
            settle(&*scene.open().await).await
        }
    }
}

/// Waits until no task runs, follow-ups included; returns how the first one ended.
pub async fn settle<W: Send + Sync + 'static>(engine: &Engine<W>) -> String {
    let all = tasks::TaskFilter {
        running: true,
        ended: true,
        unlisted: true,
        ..Default::default()
    };
    loop {
        let tasks = engine.list(&all);
        match tasks.iter().find(|task| task.state == TaskState::Running) {
            Some(running) => {
                // A task that is gone by now has ended.
                let _ = engine.wait(&running.upid).await;
            }
            None => {
                let first = tasks.last();
                return first.map_or("never accepted".to_owned(), |task| exit_status(&task.state));
            }
        }
    }
}

/// How a task ended.
pub fn exit_status(state: &TaskState) -> String {
    match state {
        TaskState::Ended { status, .. } => status.clone(),
        other => format!("{other:?}"),
    }
}
