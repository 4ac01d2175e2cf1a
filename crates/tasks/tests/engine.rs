//! The engine on a fake host: a task is broken at every call that it makes.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use model::{Clock, Error, Upid};
use serde::{Deserialize, Serialize};
use sys::{Files, Limits, ScopeName, Scopes};
use tasks::{
    Engine, EngineOptions, FollowUp, Probe, Registry, Step, Steps, Submission, Task, TaskContext,
    TaskFilter, TaskState,
};
use testkit::fault_sweep::{Scene, sweep_faults};
use testkit::{FakeHost, Fault, Faults, HastyClock, ManualClock};

/// Creates a file, a scope and a second file; the second file is its purpose.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
struct Build {
    draft: Option<PathBuf>,
}

const FINAL: &str = "/data/final";

struct Draft;
struct Scope;
struct Publish;
struct Tidy;

#[async_trait]
impl Step<Build> for Draft {
    fn name(&self) -> &'static str {
        "draft"
    }
    async fn plan(&self, _: &TaskContext<FakeHost>, task: &mut Build) -> Result<(), Error> {
        task.draft = Some("/data/draft".into());
        Ok(())
    }
    async fn probe(&self, cx: &TaskContext<FakeHost>, task: &mut Build) -> Result<Probe, Error> {
        exists(cx, task.draft.as_deref().unwrap()).await
    }
    async fn act(&self, cx: &TaskContext<FakeHost>, task: &mut Build) -> Result<(), Error> {
        Ok(cx
            .node
            .write(task.draft.as_deref().unwrap(), b"draft", 0o600)
            .await?)
    }
    async fn undo(&self, cx: &TaskContext<FakeHost>, task: &Build) -> Result<(), Error> {
        cx.node.remove(task.draft.as_deref().unwrap()).await?;
        Ok(())
    }
}

#[async_trait]
impl Step<Build> for Scope {
    fn name(&self) -> &'static str {
        "scope"
    }
    async fn probe(&self, cx: &TaskContext<FakeHost>, _: &mut Build) -> Result<Probe, Error> {
        let found = cx.node.scopes().await?.contains(&scope());
        Ok(if found { Probe::Done } else { Probe::NotDone })
    }
    async fn act(&self, cx: &TaskContext<FakeHost>, _: &mut Build) -> Result<(), Error> {
        Ok(cx.node.create_scope(&scope(), &Limits::default()).await?)
    }
    async fn undo(&self, cx: &TaskContext<FakeHost>, _: &Build) -> Result<(), Error> {
        Ok(cx.node.kill_scope(&scope()).await?)
    }
}

/// The point of no return: the final file is there.
#[async_trait]
impl Step<Build> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }
    async fn probe(&self, cx: &TaskContext<FakeHost>, _: &mut Build) -> Result<Probe, Error> {
        exists(cx, Path::new(FINAL)).await
    }
    async fn act(&self, cx: &TaskContext<FakeHost>, _: &mut Build) -> Result<(), Error> {
        Ok(cx.node.write(Path::new(FINAL), b"final", 0o644).await?)
    }
    async fn undo(&self, cx: &TaskContext<FakeHost>, _: &Build) -> Result<(), Error> {
        cx.node.remove(Path::new(FINAL)).await?;
        Ok(())
    }
}

#[async_trait]
impl Step<Build> for Tidy {
    fn name(&self) -> &'static str {
        "tidy"
    }
    async fn act(&self, cx: &TaskContext<FakeHost>, task: &mut Build) -> Result<(), Error> {
        cx.node.remove(task.draft.as_deref().unwrap()).await?;
        cx.log("tidied").await;
        Ok(())
    }
}

fn scope() -> ScopeName {
    ScopeName::guest("100".parse().unwrap())
}

async fn exists(cx: &TaskContext<FakeHost>, path: &Path) -> Result<Probe, Error> {
    let found = cx.node.stat(path).await?.is_some();
    Ok(if found { Probe::Done } else { Probe::NotDone })
}

impl Task for Build {
    type Node = FakeHost;
    const NAME: &'static str = "build";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgcopy";
    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Draft, &Scope, &Publish],
            after: &[&Tidy],
        }
    }
    fn object(&self) -> Option<String> {
        Some("guest/100".to_owned())
    }
}

/// Does nothing itself, but a `Build` follows it.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
struct Lead;

struct Nothing;

#[async_trait]
impl<T: Task<Node = FakeHost>> Step<T> for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }
    async fn probe(&self, _: &TaskContext<FakeHost>, _: &mut T) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }
    async fn act(&self, _: &TaskContext<FakeHost>, _: &mut T) -> Result<(), Error> {
        Ok(())
    }
}

impl Task for Lead {
    type Node = FakeHost;
    const NAME: &'static str = "lead";
    const VERSION: u32 = 1;
    const KIND: &'static str = "lead";
    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Nothing],
            after: &[],
        }
    }
    fn object(&self) -> Option<String> {
        Some("guest/100".to_owned())
    }
    fn follow_up(&self) -> Option<FollowUp<FakeHost>> {
        let submit: FollowUp<FakeHost> = Box::new(move |engine, submission| {
            Box::pin(engine.submit(submission, Build::default()))
        });
        Some(submit)
    }
}

async fn open(host: &FakeHost) -> Arc<Engine<FakeHost>> {
    open_with(host, Arc::new(HastyClock::default())).await
}

async fn open_with(host: &FakeHost, clock: Arc<dyn Clock>) -> Arc<Engine<FakeHost>> {
    let options = EngineOptions {
        node: "pve1".parse().unwrap(),
        directory: "/tasks".into(),
        host: Arc::new(host.clone()),
        clock,
        reserve_bytes: 4096,
        timeout_text: |object| format!("{object} is taken"),
    };
    Engine::open(
        options,
        Arc::new(host.clone()),
        &Registry::default()
            .with::<Build>()
            .with::<Lead>()
            .with::<Mistake>()
            .with::<Stop>(),
    )
    .await
    .unwrap()
}

fn submission(request_id: &str) -> Submission {
    Submission {
        request_id: request_id.into(),
        user: "root@pam".into(),
        id: "100".into(),
        listed: true,
    }
}

struct BuildScene(FakeHost);

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Scene for BuildScene {
    type Node = FakeHost;
    fn open(&self) -> Waiting<'_, Arc<Engine<FakeHost>>> {
        Box::pin(open(&self.0))
    }
    fn submit<'a>(&'a self, engine: &'a Engine<FakeHost>) -> Waiting<'a, Result<Upid, Error>> {
        Box::pin(engine.submit(submission(""), Build::default()))
    }
    fn inventory(&self) -> Waiting<'_, Vec<String>> {
        Box::pin(async { self.0.inventory(&["/tasks"]) })
    }
    fn faults(&self) -> &Faults {
        self.0.faults()
    }
}

async fn host() -> FakeHost {
    let host = FakeHost::new(Faults::default());
    host.create_dir(Path::new("/data"), 0o700).await.unwrap();
    host
}

#[tokio::test]
async fn broken_anywhere_a_task_is_whole_or_gone() {
    let walked = sweep_faults(|| Box::pin(async { BuildScene(host().await) })).await;
    assert!(walked.calls >= 12, "{walked:?}");
    assert!(walked.breaks > 2 * walked.calls, "{walked:?}");
    assert!(walked.failed > 0 && walked.went_through > 0, "{walked:?}");
}

#[tokio::test]
async fn a_second_death_during_recovery_is_survived_too() {
    for first in 0..12 {
        for second in 0..12 {
            let host = host().await;
            let engine = open(&host).await;
            host.faults().reset();
            host.faults().break_call(first, Fault::DieAfter);
            tokio::select! {
                _ = async {
                    let upid = engine.submit(submission(""), Build::default()).await?;
                    engine.wait(&upid).await
                } => {}
                () = host.faults().death() => {}
            }
            drop(engine);
            host.faults().revive_and_break(second, Fault::DieAfter);
            tokio::select! {
                _ = async {
                    let engine = open(&host).await;
                    settle(&engine).await;
                } => {}
                () = host.faults().death() => {}
            }
            host.faults().revive();
            let engine = open(&host).await;
            settle(&engine).await;
            let files = host.inventory(&["/tasks"]);
            let whole = [
                "directory /data",
                "file /data/final 5 bytes 644",
                "scope guest-100",
            ];
            assert!(
                files == ["directory /data"] || files == whole,
                "{first} {second}: {files:?}"
            );
        }
    }
}

/// A follow-up happens once and wholly, even if only the agent's death interrupted it.
#[tokio::test]
async fn what_follows_is_done_in_the_end() {
    let mut survived = 0;
    for call in 0..40 {
        let host = host().await;
        let engine = open(&host).await;
        host.faults().reset();
        host.faults().break_call(call, Fault::DieAfter);
        tokio::select! {
            _ = async {
                let upid = engine.submit(submission(""), Lead).await?;
                engine.wait(&upid).await
            } => {}
            () = host.faults().death() => {}
        }
        drop(engine);
        host.faults().revive();
        let engine = open(&host).await;
        settle(&engine).await;
        let all = TaskFilter {
            running: true,
            ended: true,
            ..TaskFilter::default()
        };
        let is_ok = |kind: &str| {
            let list = engine.list(&all);
            let of_kind = list.iter().filter(|task| task.upid.kind == kind);
            let is_ok = |task: &&tasks::TaskSummary| matches!(&task.state, TaskState::Ended { status, .. } if status == "OK");
            of_kind.filter(is_ok).count()
        };
        // If it was not undone, the follow-up was done, once.
        assert_eq!(is_ok("lead"), is_ok("imgcopy"), "{call}");
        assert!(is_ok("imgcopy") < 2, "{call}");
        survived += is_ok("imgcopy");
    }
    assert!(survived > 20, "{survived}");
}

async fn settle(engine: &Engine<FakeHost>) {
    let all = TaskFilter {
        running: true,
        ended: true,
        ..TaskFilter::default()
    };
    for task in engine.list(&all) {
        engine.wait(&task.upid).await.unwrap();
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_upid_also_after_a_restart() {
    let host = host().await;
    let engine = open(&host).await;
    let first = engine
        .submit(submission("r1"), Build::default())
        .await
        .unwrap();
    engine.wait(&first).await.unwrap();
    assert_eq!(
        engine
            .submit(submission("r1"), Build::default())
            .await
            .unwrap(),
        first
    );
    drop(engine);
    let engine = open(&host).await;
    assert_eq!(
        engine
            .submit(submission("r1"), Build::default())
            .await
            .unwrap(),
        first
    );
    let other = engine
        .submit(submission("r2"), Build::default())
        .await
        .unwrap();
    assert_ne!(other, first);
    assert_eq!(engine.wait(&other).await.unwrap().upid, other);
    assert_eq!(engine.log(&other).await.unwrap(), ["tidied", "TASK OK"]);
}

#[tokio::test]
async fn a_journal_of_an_unknown_version_is_stuck_in_plain_sight() {
    let host = host().await;
    let upid = "UPID:pve1:00000001:00000001:6B00D68B:imgcopy:100:root@pam:";
    let line = format!(
        "{{\"accepted\":{{\"upid\":\"{upid}\",\"name\":\"build\",\"version\":9,\
         \"request_id\":\"\",\"task\":{{\"draft\":null}}}}}}\n"
    );
    host.create_dir(Path::new("/tasks"), 0o700).await.unwrap();
    let path = PathBuf::from(format!("/tasks/{upid}.journal"));
    host.write(&path, line.as_bytes(), 0o600).await.unwrap();
    let engine = open(&host).await;
    let task = engine.get(&upid.parse().unwrap()).unwrap();
    let TaskState::Stuck(reason) = task.state else {
        panic!("{task:?}")
    };
    assert!(reason.contains("build version 9"), "{reason}");
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_accepted_and_nothing_is_left() {
    let host = host().await;
    let engine = open(&host).await;
    host.set_free(Some(0));
    let error = engine
        .submit(submission("r"), Build::default())
        .await
        .unwrap_err();
    assert!(error.message.contains("no storage space"), "{error}");
    host.set_free(None);
    assert_eq!(files(&host), ["/tasks/reserve"]);
    let upid = engine
        .submit(submission("r"), Build::default())
        .await
        .unwrap();
    let state = engine.wait(&upid).await.unwrap().state;
    assert!(matches!(state, TaskState::Ended { status, .. } if status == "OK"));
}

/// The files of the engine, besides its folder.
fn files(host: &FakeHost) -> Vec<String> {
    let all = host.inventory(&["/data"]);
    let files = all.iter().filter_map(|line| line.strip_prefix("file "));
    let path = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    files.map(path).collect()
}

#[tokio::test]
async fn the_same_request_eight_times_at_once_is_one_task() {
    let host = host().await;
    let engine = open(&host).await;
    let submit = || engine.submit(submission("r"), Build::default());
    let upids = futures_util::future::try_join_all((0..8).map(|_| submit()));
    let upids = upids.await.unwrap();
    assert!(upids.iter().all(|upid| *upid == upids[0]), "{upids:?}");
    engine.wait(&upids[0]).await.unwrap();
    let all = TaskFilter {
        running: true,
        ended: true,
        unlisted: true,
        ..TaskFilter::default()
    };
    assert_eq!(engine.list(&all).len(), 1);
}

#[tokio::test]
async fn a_request_that_was_not_accepted_can_be_sent_again() {
    let host = host().await;
    let engine = open(&host).await;
    host.set_free(Some(0));
    let submit = || engine.submit(submission("r"), Build::default());
    let refused = futures_util::future::join_all((0..3).map(|_| submit())).await;
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    host.set_free(None);
    let upid = submit().await.unwrap();
    assert_eq!(submit().await.unwrap(), upid);
}

#[tokio::test]
async fn the_work_of_one_request_is_not_listed_and_has_no_log() {
    let host = host().await;
    let engine = open(&host).await;
    let unlisted = || Submission {
        listed: false,
        ..submission("r")
    };
    let upid = engine.submit(unlisted(), Build::default()).await.unwrap();
    let shown = |unlisted| TaskFilter {
        running: true,
        ended: true,
        unlisted,
        ..TaskFilter::default()
    };
    assert_eq!(engine.list(&shown(false)).len(), 0);
    assert_eq!(engine.list(&shown(true)).len(), 1);
    assert!(engine.wait(&upid).await.unwrap().is_ok());
    assert!(!files(&host).iter().any(|file| file.ends_with(".log")));
    drop(engine);
    let engine = open(&host).await;
    assert_eq!(engine.list(&shown(false)).len(), 0);
    let again = engine.submit(unlisted(), Build::default()).await.unwrap();
    assert_eq!(again, upid);
}

#[tokio::test]
async fn old_tasks_are_forgotten_with_their_logs_and_the_index_is_shortened() {
    let host = host().await;
    host.create_dir(Path::new("/tasks"), 0o700).await.unwrap();
    let now = HastyClock::default().wall();
    let line = |number: usize, at: i64| {
        let upid = format!("UPID:pve1:00000001:{number:08X}:{at:08X}:imgcopy:100:root@pam:");
        let line =
            format!("{{\"upid\":\"{upid}\",\"at\":{at},\"status\":\"OK\",\"request_id\":\"\"}}\n");
        (upid, line)
    };
    let (too_old, first) = line(1, now - 366 * 24 * 3600);
    let (too_many, second) = line(2, now - 1000);
    let (kept, _) = line(3, now - 999);
    let newer = (3..5_003).map(|number| line(number, now - 999).1);
    // Incomplete lines that an older program left in a long index count as lines.
    let rest = (0..10_000).map(|_| "cut off by a crash\n".to_owned());
    let index: String = [first, second]
        .into_iter()
        .chain(newer)
        .chain(rest)
        .collect();
    host.write(Path::new("/tasks/index"), index.as_bytes(), 0o600)
        .await
        .unwrap();
    for upid in [&too_old, &too_many, &kept] {
        let path = PathBuf::from(format!("/tasks/{upid}.log"));
        host.write(&path, b"TASK OK\n", 0o600).await.unwrap();
    }
    let engine = open(&host).await;
    assert_eq!(
        files(&host),
        [
            format!("/tasks/{kept}.log"),
            "/tasks/index".to_owned(),
            "/tasks/reserve".to_owned()
        ]
    );
    assert!(engine.get(&too_many.parse().unwrap()).is_err());
    let upid = engine
        .submit(submission("r"), Build::default())
        .await
        .unwrap();
    engine.wait(&upid).await.unwrap();
    let index = || async {
        let content = host.read(Path::new("/tasks/index")).await.unwrap();
        String::from_utf8(content).unwrap().lines().count()
    };
    while index().await > 5_001 {
        tokio::task::yield_now().await;
    }
    drop(engine);
    let engine = open(&host).await;
    assert!(engine.get(&upid).unwrap().is_ok());
}

/// A task that may begin on a full disk.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
struct Stop;

impl Task for Stop {
    type Node = FakeHost;
    const NAME: &'static str = "stop";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmstop";
    const IS_URGENT: bool = true;
    const ON_FULL_DISK: bool = true;
    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&Nothing],
        }
    }
    fn object(&self) -> Option<String> {
        Some("guest/100".to_owned())
    }
}

/// A task that cannot end before a file is there.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
struct Waits;

const AWAITED: &str = "/awaited";

#[async_trait]
impl Step<Waits> for Waits {
    fn name(&self) -> &'static str {
        "waits"
    }
    async fn act(&self, cx: &TaskContext<FakeHost>, _: &mut Waits) -> Result<(), Error> {
        cx.node.read(Path::new(AWAITED)).await?;
        Ok(())
    }
}

impl Task for Waits {
    type Node = FakeHost;
    const NAME: &'static str = "waits";
    const VERSION: u32 = 1;
    const KIND: &'static str = "waits";
    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&Waits],
        }
    }
    fn object(&self) -> Option<String> {
        Some("guest/100".to_owned())
    }
}

#[tokio::test]
async fn a_stop_gets_through_while_a_task_tries_again() {
    let host = host().await;
    let engine = open(&host).await;
    let waits = engine.submit(submission(""), Waits).await.unwrap();
    for _ in 0..3 {
        let stop = engine.submit(submission(""), Stop).await.unwrap();
        assert!(engine.wait(&stop).await.unwrap().is_ok());
    }
    assert_eq!(engine.get(&waits).unwrap().state, TaskState::Running);
    host.write(Path::new(AWAITED), b"", 0o600).await.unwrap();
    assert!(engine.wait(&waits).await.unwrap().is_ok());
}

/// A step that panics.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
struct Mistake;

struct Panics;

#[async_trait]
impl Step<Mistake> for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }
    async fn act(&self, _: &TaskContext<FakeHost>, _: &mut Mistake) -> Result<(), Error> {
        panic!("a mistake")
    }
}

impl Task for Mistake {
    type Node = FakeHost;
    const NAME: &'static str = "mistake";
    const VERSION: u32 = 1;
    const KIND: &'static str = "mistake";
    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Panics],
            after: &[],
        }
    }
    fn object(&self) -> Option<String> {
        Some("guest/100".to_owned())
    }
}

#[tokio::test]
async fn a_step_that_panics_fails_its_task_and_frees_the_object() {
    let host = host().await;
    let engine = open(&host).await;
    let upid = engine.submit(submission(""), Mistake).await.unwrap();
    let state = engine.wait(&upid).await.unwrap().state;
    let TaskState::Ended { status, .. } = state else {
        panic!("{state:?}")
    };
    assert!(status.contains("panic"), "{status}");
    let next = engine
        .submit(submission(""), Build::default())
        .await
        .unwrap();
    assert!(engine.wait(&next).await.unwrap().is_ok());
}

#[tokio::test]
async fn on_a_full_disk_what_has_begun_ends_and_a_stop_still_begins() {
    let host = host().await;
    let engine = open(&host).await;
    // Enough for the task to be accepted.
    host.set_free(Some(700));
    let upid = engine
        .submit(submission(""), Build::default())
        .await
        .unwrap();
    host.set_free(Some(0));
    // It succeeds using the reserved space, and its end is written.
    assert!(engine.wait(&upid).await.unwrap().is_ok());
    assert!(!files(&host).iter().any(|file| file.ends_with(".journal")));
    assert!(!files(&host).contains(&"/tasks/reserve".to_owned()));
    host.remove(Path::new(FINAL)).await.unwrap();
    host.set_free(Some(2000));
    let error = engine
        .submit(submission(""), Build::default())
        .await
        .unwrap_err();
    assert_eq!(error.message, "the disk of the node's state is full");
    let stop = engine.submit(submission(""), Stop).await.unwrap();
    assert!(engine.wait(&stop).await.unwrap().is_ok());
    drop(engine);
    let engine = open(&host).await;
    assert!(engine.get(&stop).unwrap().is_ok());
    // With room again, everything is as before, and the space is reserved again.
    host.set_free(None);
    let upid = engine
        .submit(submission(""), Build::default())
        .await
        .unwrap();
    assert!(engine.wait(&upid).await.unwrap().is_ok());
    assert!(files(&host).contains(&"/tasks/reserve".to_owned()));
}

#[tokio::test]
async fn a_line_is_bounded_in_length_and_in_time() {
    let host = host().await;
    let clock = ManualClock::default();
    let engine = open_with(&host, Arc::new(clock.clone())).await;
    let hold = engine.try_hold("guest/100").unwrap();
    let mut accepted = Vec::new();
    let refused = loop {
        match engine.submit(submission(""), Build::default()).await {
            Ok(upid) => accepted.push(upid),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.message, "guest/100 is taken");
    assert_eq!(accepted.len(), 64);
    // An urgent one is accepted nevertheless, and goes first.
    let stop = engine.submit(submission(""), Stop).await.unwrap();
    let status = async |upid: &Upid| match engine.wait(upid).await.unwrap().state {
        TaskState::Ended { status, .. } => status,
        state => panic!("{state:?}"),
    };
    // The waiting ones run out of time.
    for upid in accepted.iter().chain([&stop]) {
        while engine.get(upid).unwrap().state == TaskState::Running {
            clock.advance(std::time::Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        assert_eq!(status(upid).await, "guest/100 is taken");
    }
    let stop = engine.submit(submission(""), Stop).await.unwrap();
    drop(hold);
    assert_eq!(status(&stop).await, "OK");
}

#[tokio::test]
async fn nothing_begins_while_the_node_is_quiet() {
    let host = host().await;
    let clock = Arc::new(ManualClock::default());
    let engine = open_with(&host, clock.clone()).await;
    let by: Upid = "UPID:pve1:00000001:00000001:6B00D68B:clustercreate:lab:root@pam:"
        .parse()
        .unwrap();
    // One waits for its object and does not end in time.
    let hold = engine.try_hold("guest/100").unwrap();
    let waiting = engine.submit(submission(""), Stop).await.unwrap();
    let quiescing = engine.quiesce(&by, std::time::Duration::from_secs(2));
    tokio::pin!(quiescing);
    let refused = loop {
        tokio::select! {
            biased;
            quiet = &mut quiescing => break quiet.err().unwrap(),
            () = tokio::task::yield_now() => clock.advance(std::time::Duration::from_secs(1)),
        }
    };
    assert_eq!(
        refused.message,
        format!("tasks of this node have not ended: {waiting}")
    );
    // A failed attempt keeps nothing out.
    drop(hold);
    engine.wait(&waiting).await.unwrap();

    let patience = std::time::Duration::from_secs(60);
    let quiet = engine.quiesce(&by, patience).await.unwrap();
    let refused = engine.submit(submission(""), Stop).await.unwrap_err();
    assert!(refused.message.contains("no task can begin"), "{refused:?}");
    assert!(
        engine.quiesce(&by, patience).await.is_err(),
        "one at a time"
    );
    drop(quiet);
    let upid = engine.submit(submission(""), Stop).await.unwrap();
    assert!(engine.wait(&upid).await.unwrap().is_ok());
}

/// Earlier versions had a file for each task, with a line for each step that was done.
#[tokio::test]
async fn journals_of_an_earlier_version_are_taken_over_also_by_one_that_dies() {
    let upid = |number: u32| -> Upid {
        format!("UPID:pve1:00000001:0000000{number}:6B00D68B:imgcopy:100:root@pam:")
            .parse()
            .unwrap()
    };
    let draft = "\"task\":{\"draft\":\"/data/draft\"}";
    let accepted = |upid: &Upid| {
        format!(
            "{{\"accepted\":{{\"upid\":\"{upid}\",\"name\":\"build\",\"version\":1,\
             \"request_id\":\"{upid}\",\"task\":{{\"draft\":null}}}}}}\n"
        )
    };
    let step = |what: &str, step: usize| format!("{{\"{what}\":{{\"step\":{step},{draft}}}}}\n");
    let begun: String = [accepted(&upid(1)), step("planned", 0)].concat();
    let past: String = [accepted(&upid(2))]
        .into_iter()
        .chain((0..3).flat_map(|number| [step("planned", number), step("done", number)]))
        .collect();
    for death in 0..12 {
        let host = host().await;
        host.create_dir(Path::new("/tasks"), 0o700).await.unwrap();
        for (upid, content) in [(upid(1), &begun), (upid(2), &past)] {
            let path = PathBuf::from(format!("/tasks/{upid}.journal"));
            host.write(&path, content.as_bytes(), 0o600).await.unwrap();
        }
        host.write(Path::new(FINAL), b"final", 0o644).await.unwrap();
        host.faults().reset();
        host.faults().break_call(death, Fault::DieAfter);
        tokio::select! {
            _ = open(&host) => {}
            () = host.faults().death() => {}
        }
        host.faults().revive();
        let engine = open(&host).await;
        settle(&engine).await;
        let status = |number: u32| match engine.get(&upid(number)).unwrap().state {
            TaskState::Ended { status, .. } => status,
            state => panic!("{state:?}"),
        };
        assert_eq!(status(1), "interrupted by a restart", "{death}");
        assert_eq!(status(2), "OK", "{death}");
        assert!(!files(&host).iter().any(|file| file.ends_with(".journal")));
    }
}

/// A task takes as many writes as it has planned steps, and two more.
#[tokio::test]
async fn a_step_is_one_write_of_the_journal() {
    let host = host().await;
    let engine = open(&host).await;
    host.faults().reset();
    let upid = engine
        .submit(submission(""), Build::default())
        .await
        .unwrap();
    assert!(engine.wait(&upid).await.unwrap().is_ok());
    let journal = host.faults().calls().into_iter();
    let writes = journal.filter(|call| call.contains("append to /tasks/journal-"));
    assert_eq!(writes.count(), 6);
}

#[tokio::test]
async fn a_long_journal_gives_way_to_a_new_one() {
    let host = host().await;
    let engine = open(&host).await;
    let name = || {
        let files = files(&host).into_iter();
        let mut journals = files.filter(|file| file.starts_with("/tasks/journal-"));
        (journals.next().unwrap(), journals.next())
    };
    for _ in 0..10 {
        let upid = engine
            .submit(submission(""), Build::default())
            .await
            .unwrap();
        engine.wait(&upid).await.unwrap();
        host.remove(Path::new(FINAL)).await.unwrap();
    }
    assert_eq!(name(), ("/tasks/journal-00000001".to_owned(), None));
    let fat = "x".repeat(300 << 10);
    let big = Build {
        draft: Some(fat.into()),
    };
    let upid = engine.submit(submission(""), big).await.unwrap();
    engine.wait(&upid).await.unwrap();
    host.remove(Path::new(FINAL)).await.unwrap();
    let upid = engine
        .submit(submission(""), Build::default())
        .await
        .unwrap();
    engine.wait(&upid).await.unwrap();
    assert_eq!(name(), ("/tasks/journal-00000002".to_owned(), None));
    drop(engine);
    let engine = open(&host).await;
    let all = TaskFilter {
        running: true,
        ended: true,
        ..TaskFilter::default()
    };
    assert_eq!(engine.list(&all).len(), 12);
}

/// Tasks may wait for days, or be stuck: the journal must not grow with all the tasks that end
/// meanwhile.
#[tokio::test]
async fn a_long_journal_gives_way_also_where_tasks_have_not_ended() {
    let host = host().await;
    let engine = open_with(&host, Arc::new(ManualClock::default())).await;
    let _hold = engine.try_hold("guest/100").unwrap();
    let mut waiting = Vec::new();
    for bytes in [0, 200 << 10, 200 << 10] {
        let task = Build {
            draft: Some("x".repeat(bytes).into()),
        };
        waiting.push(engine.submit(submission(""), task).await.unwrap());
    }
    let first = "/tasks/journal-00000001".to_owned();
    while files(&host).contains(&first) {
        tokio::task::yield_now().await;
    }
    drop(engine);
    let engine = open(&host).await;
    settle(&engine).await;
    for upid in &waiting {
        let TaskState::Ended { status, .. } = engine.get(upid).unwrap().state else {
            panic!("{upid} has not ended")
        };
        assert_eq!(status, "interrupted by a restart");
    }
}
