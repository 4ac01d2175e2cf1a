//! The scheduler and snapshot jobs on a fake node, by a clock that the test moves.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, UnixTime};
use node::schedule::{Reason, Runs, Scheduled, Scheduler};
use node::snapshot_jobs::{KIND, SnapshotJobs};
use node::tasks::SnapshotJobRun;
use node::{NodeContext, Records};
use scene::jobs::{adopt, put_job};
use scene::*;
use serde_json::{Value, json};
use tasks::{Engine, Task, TaskFilter, TaskSummary};
use testkit::fault_sweep::settle;
use testkit::{Fault, ManualClock};

/// Where the test's clock starts: 23:23:20.
const START: UnixTime = 1_795_217_000;
/// The next quarter of an hour.
const QUARTER_S: u64 = 400;

/// A node with guest 100 and a job, and its agent.
struct Agent {
    node: Node<SnapshotJobRun>,
    clock: ManualClock,
    context: Arc<NodeContext>,
    tasks: Arc<Engine<NodeContext>>,
    scheduler: Scheduler,
}

fn scheduler() -> Scheduler {
    let jobs: Box<dyn Scheduled> = Box::new(SnapshotJobs);
    Scheduler::new(vec![jobs])
}

fn job(schedule: &str, options: Value) -> Value {
    let mut job = json!({"schedule": schedule, "vmid": "100", "updated": 1});
    let (Value::Object(all), Value::Object(more)) = (&mut job, options) else {
        panic!("objects")
    };
    all.extend(more);
    job
}

impl Agent {
    async fn of(node: Node<SnapshotJobRun>, clock: ManualClock) -> Self {
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let context = node.context_at("pve1", &node.host, None, time).await;
        Self {
            tasks: node.engine_of(context.clone()).await,
            scheduler: scheduler(),
            context,
            clock,
            node,
        }
    }

    /// Its job has been seen.
    async fn with(options: Value) -> Self {
        let node = layered(|_| SnapshotJobRun::new("auto".into()), false).await;
        put_job(&node.plain, "auto", options).await;
        let mut agent = Self::of(node, ManualClock::default()).await;
        agent.turn().await;
        agent
    }

    /// A new agent on the same node, after that time.
    async fn restarted_after(self, seconds: u64) -> Self {
        let (node, clock) = (self.node, self.clock.clone());
        drop((self.tasks, self.context, self.scheduler));
        clock.advance(Duration::from_secs(seconds));
        Self::of(node, clock).await
    }

    async fn turn(&mut self) {
        self.scheduler.turn(&self.context, &self.tasks).await;
    }

    /// Looks, lets the tasks end and looks again.
    async fn turn_and_settle(&mut self) {
        self.turn().await;
        settle(&*self.tasks).await;
        self.turn().await;
    }

    async fn turn_after(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.turn_and_settle().await;
    }

    fn records(&self) -> Records {
        Records::new(self.node.plain.clone(), "pve1".parse().unwrap())
    }

    async fn runs(&self) -> Runs {
        let mut all = self.records().all_runs(KIND).await.unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0).2
    }

    /// The guest's snapshots, with their jobs.
    async fn snapshots(&self) -> Vec<(String, Option<String>)> {
        let guest = self.records().guest(vmid()).await.unwrap().record.data;
        assert!(guest.busy.is_none());
        let all = guest.snapshots.into_iter();
        all.map(|(name, snapshot)| (name, snapshot.job)).collect()
    }

    fn job_tasks(&self) -> Vec<TaskSummary> {
        self.tasks.list(&TaskFilter {
            running: true,
            ended: true,
            kind: Some(SnapshotJobRun::KIND.to_owned()),
            ..TaskFilter::default()
        })
    }

    async fn log(&self) -> String {
        let newest = &self.job_tasks()[0];
        self.tasks.log(&newest.upid).await.unwrap().join("\n")
    }
}

fn of_job(time: &str) -> (String, Option<String>) {
    (format!("auto-20261120-{time}"), Some("auto".to_owned()))
}

// covers: S4.16
#[tokio::test]
async fn a_job_runs_when_it_is_due_and_once() {
    let mut agent = Agent::with(job("*/15", json!({}))).await;
    agent.turn_after(QUARTER_S - 1).await;
    assert!(agent.job_tasks().is_empty());
    agent.turn_after(1).await;
    assert_eq!(agent.snapshots().await, [of_job("233000")]);
    let runs = agent.runs().await;
    let last = runs.last.unwrap();
    assert_eq!(last.due, Some(START + QUARTER_S as i64));
    assert_eq!(last.status.as_deref(), Some("OK"));
    assert_eq!((runs.begun, runs.missed_count), (None, 0));
    agent.turn_after(899).await;
    assert_eq!(agent.job_tasks().len(), 1);
    agent.turn_after(1).await;
    assert_eq!(
        agent.snapshots().await,
        [of_job("233000"), of_job("234500")]
    );
}

#[tokio::test]
async fn a_change_of_the_schedule_settles_what_was_due() {
    let mut agent = Agent::with(job("*/15", json!({"enabled": 0}))).await;
    agent.turn_after(QUARTER_S).await;
    assert!(agent.job_tasks().is_empty());
    let again = job("*/15", json!({"updated": START + 400}));
    put_job(&agent.node.plain, "auto", again).await;
    agent.turn_after(10).await;
    assert!(agent.job_tasks().is_empty());
    agent.turn_after(890).await;
    assert_eq!(agent.job_tasks().len(), 1);
    assert_eq!(agent.runs().await.missed_count, 0);
}

// covers: S4.16
#[tokio::test]
async fn what_was_missed_while_the_agent_was_away_is_listed_and_not_run() {
    let agent = Agent::with(job("hourly", json!({}))).await;
    let mut agent = agent.restarted_after(3 * 3600).await;
    agent.turn_and_settle().await;
    assert!(agent.job_tasks().is_empty());
    let runs = agent.runs().await;
    // Midnight, one and two; now it is 02:23:20.
    assert_eq!((runs.missed_count, runs.missed.len()), (3, 3));
    assert_eq!(runs.missed[2].due, START + 2200 + 2 * 3600);
    assert!(
        runs.missed
            .iter()
            .all(|missed| missed.reason == Reason::Late)
    );
    agent.turn_after(2200).await;
    assert_eq!(agent.snapshots().await.len(), 1);
    assert_eq!(agent.runs().await.missed_count, 3);
}

#[tokio::test]
async fn what_was_missed_is_caught_up_once_if_the_job_says_so() {
    let agent = Agent::with(job("hourly", json!({"repeat-missed": 1}))).await;
    let mut agent = agent.restarted_after(3 * 3600).await;
    agent.turn_and_settle().await;
    agent.turn_after(10).await;
    assert_eq!(agent.snapshots().await.len(), 1);
    let runs = agent.runs().await;
    assert_eq!(runs.missed_count, 3);
    assert_eq!(runs.last.unwrap().due, Some(START + 2200 + 2 * 3600));
}

#[tokio::test]
async fn a_restart_over_the_hour_misses_nothing() {
    let agent = Agent::with(job("hourly", json!({}))).await;
    let mut agent = agent.restarted_after(2200 + 60).await;
    agent.turn_and_settle().await;
    assert_eq!(agent.snapshots().await.len(), 1);
    assert_eq!(agent.runs().await.missed_count, 0);
}

#[tokio::test]
async fn a_clock_that_goes_back_runs_nothing_twice() {
    let mut agent = Agent::with(job("*/15", json!({}))).await;
    agent.turn_after(QUARTER_S).await;
    agent.clock.set_by(-3600);
    for _ in 0..4 {
        agent.turn_after(890).await;
    }
    assert_eq!(agent.job_tasks().len(), 1);
    // Now it is 23:29:20 again.
    agent.turn_after(40 + 900).await;
    assert_eq!(
        agent.snapshots().await,
        [of_job("233000"), of_job("234500")]
    );
    // A clock that was a month ahead was wrong: its word does not count.
    agent.clock.set_by(30 * 24 * 3600);
    agent.turn_and_settle().await;
    agent.clock.set_by(-30 * 24 * 3600);
    let before = agent.job_tasks().len();
    agent.turn_after(10).await;
    agent.turn_after(890).await;
    assert_eq!(agent.job_tasks().len(), before + 1);
}

#[tokio::test]
async fn a_run_that_still_goes_is_not_begun_again() {
    let mut agent = Agent::with(job("*:*:0/10", json!({}))).await;
    let hold = agent.tasks.hold("guest/100", "test", Duration::ZERO).await;
    agent.clock.advance(Duration::from_secs(10));
    agent.turn().await;
    agent.clock.advance(Duration::from_secs(10));
    agent.turn().await;
    assert_eq!(agent.job_tasks().len(), 1);
    let missed = agent.runs().await.missed;
    assert_eq!((missed.len(), missed[0].reason), (1, Reason::StillRunning));
    drop(hold);
    agent.turn_and_settle().await;
    assert_eq!(
        agent.runs().await.last.unwrap().status.as_deref(),
        Some("OK")
    );
    agent.turn_after(10).await;
    assert_eq!(agent.job_tasks().len(), 2);
}

/// The agent dies, or fails, at each call of a look that begins a run: the run happens once.
#[test]
fn a_crash_loses_no_run_and_repeats_none() {
    let calls = alive(async {
        let mut agent = Agent::with(job("*/15", json!({}))).await;
        agent.clock.advance(Duration::from_secs(QUARTER_S));
        agent.node.host.faults().reset();
        agent.turn_and_settle().await;
        assert_eq!(agent.snapshots().await.len(), 1);
        agent.node.host.faults().calls()
    });
    let mut deaths = 0;
    for (number, call) in calls.iter().enumerate() {
        for &fault in Fault::of(call) {
            let died = crash(
                number,
                fault,
                &format!("{fault:?} at call {number} ({call})"),
            );
            deaths += usize::from(died);
        }
    }
    assert!(
        calls.len() > 20 && deaths > 30,
        "{} calls, {deaths}",
        calls.len()
    );
}

/// A life of the agent: with its runtime everything ends that it was doing.
fn alive<T>(life: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(life)
}

/// Breaks a call of a run, and lets the agent go on. Whether it died.
fn crash(number: usize, fault: Fault, place: &str) -> bool {
    let (mut agent, died) = alive(async {
        let mut agent = Agent::with(job("*/15", json!({}))).await;
        agent.clock.advance(Duration::from_secs(QUARTER_S));
        let faults = agent.node.host.faults().clone();
        faults.break_call(number, fault);
        let died = tokio::select! {
            () = agent.turn_and_settle() => false,
            () = faults.death() => true,
        };
        if !died {
            agent.turn_after(10).await;
        }
        (agent, died)
    });
    alive(async {
        // An agent that did not die is restarted later.
        agent.node.host.faults().revive();
        agent = agent.restarted_after(10).await;
        for _ in 0..3 {
            settle(&*agent.tasks).await;
            agent.turn_after(10).await;
        }
        let runs = agent.runs().await;
        let last = runs.last.unwrap_or_else(|| panic!("no run after {place}"));
        assert_eq!(last.due, Some(START + QUARTER_S as i64), "{place}");
        assert!(last.ended.is_some() && runs.begun.is_none(), "{place}");
        let made = agent.snapshots().await.len();
        let is_ok = last.status.as_deref() == Some("OK");
        let log = agent.log().await;
        // A call that fails may cost the snapshot, and the task says so; a death never does.
        assert!(
            made == 1 || !(made > 1 || is_ok),
            "{place}: {made} snapshots\n{log}"
        );
        assert!(is_ok || !died, "{place}: {:?}\n{log}", last.status);
    });
    died
}

/// Only what the job has made goes, and what it has made of this guest.
// covers: S4.16
#[tokio::test]
async fn the_retention_is_of_the_jobs_own_snapshots() {
    let node = with_snapshot(|_| SnapshotJobRun::new("auto".into()), false).await;
    put_job(&node.plain, "auto", job("*/15", json!({"keep-last": 2}))).await;
    let mut agent = Agent::of(node, ManualClock::default()).await;
    agent.turn().await;
    for seconds in [QUARTER_S, 900] {
        agent.turn_after(seconds).await;
    }
    let foreign = || ("s1".to_owned(), None);
    let of = |times: &[&str]| {
        let mut all: Vec<_> = times.iter().map(|time| of_job(time)).collect();
        all.push(foreign());
        all
    };
    assert_eq!(agent.snapshots().await, of(&["233000", "234500"]));
    adopt(&agent.node.plain, "auto-20261120-233000", "other").await;
    agent.turn_after(900).await;
    let log = agent.log().await;
    assert!(!log.contains("removed"), "{log}");
    adopt(&agent.node.plain, "auto-20261120-233000", "auto").await;
    agent.turn_after(900).await;
    let log = agent.log().await;
    assert!(
        log.contains("VM 100: snapshot 'auto-20261120-233000' removed"),
        "{log}"
    );
    assert!(
        log.contains("VM 100: snapshot 'auto-20261121-001500' made"),
        "{log}"
    );
    let names: Vec<String> = agent
        .snapshots()
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        ["auto-20261121-000000", "auto-20261121-001500", "s1"]
    );
}

/// A guest that cannot have a snapshot is named, and the others have one.
#[tokio::test]
async fn one_guest_does_not_hold_up_the_others() {
    let options = json!({"vmid": "100,101,102", "keep-last": 1});
    let mut agent = Agent::with(job("*/15", options)).await;
    // Guest 101 is a template, and 102 does not exist.
    let guest = agent.records().guest(vmid()).await.unwrap().record.data;
    let template = model::GuestRecord {
        vmid: model::VmId::new(101).unwrap(),
        ..guest
    };
    let records = agent.records();
    let key = node::guest_key(template.vmid);
    let value = model::Record::new(template).encode().unwrap();
    let commit = store::Commit::new().put(key, value);
    agent.node.plain.commit(commit).await.unwrap();
    let make_template = |guest: &mut model::GuestRecord| {
        guest.config.set("template", 1);
        Ok(())
    };
    let template = model::VmId::new(101).unwrap();
    records.change_guest(template, make_template).await.unwrap();
    agent.turn_after(QUARTER_S).await;
    let log = agent.log().await;
    assert!(
        log.contains("ERROR: VM 101: you can't take a snapshot if it's a template"),
        "{log}"
    );
    assert!(log.contains("WARN: guest 102 does not exist"), "{log}");
    assert!(
        log.contains("VM 100: snapshot 'auto-20261120-233000' made"),
        "{log}"
    );
    let last = agent.runs().await.last.unwrap();
    assert_eq!(last.status.as_deref(), Some("job errors: 101"));
    assert_eq!(agent.snapshots().await.len(), 1);
    // All of a tag leaves templates out without an error.
    let all = job("*/15", json!({"vmid": null, "all": true, "updated": 2}));
    put_job(&agent.node.plain, "auto", all).await;
    agent.turn().await;
    agent.turn_after(900).await;
    let log = agent.log().await;
    assert!(
        log.contains("skip templates: 101") && log.contains("TASK OK"),
        "{log}"
    );
}

/// A guest that gets the tag is in the next run; a node without any runs nothing, and misses nothing.
// covers: S4.16
#[tokio::test]
async fn a_new_guest_of_the_tag_is_included() {
    let options = json!({"vmid": null, "tag": "db"});
    let agent = Agent::with(job("*/15", options)).await;
    let mut agent = agent.restarted_after(3600 + QUARTER_S).await;
    agent.turn_and_settle().await;
    assert!(agent.job_tasks().is_empty());
    assert_eq!(agent.runs().await.missed_count, 0);
    let tag = |guest: &mut model::GuestRecord| {
        guest.config.set("tags", "db;web");
        Ok(())
    };
    agent.records().change_guest(vmid(), tag).await.unwrap();
    agent.turn_after(900).await;
    assert_eq!(agent.snapshots().await.len(), 1);
}

/// Clients of Proxmox VE see what made the snapshot.
#[tokio::test]
async fn a_snapshot_says_what_has_made_it() {
    let mut agent = Agent::with(job("*/15", json!({"prefix": "p"}))).await;
    agent.turn_after(QUARTER_S).await;
    let guest = agent.records().guest(vmid()).await.unwrap().record.data;
    let (name, snapshot) = guest.snapshots.iter().next().unwrap();
    assert_eq!(name, "p-20261120-233000");
    let text = snapshot.description.as_deref();
    assert_eq!(text, Some("made by snapshot job 'auto'"));
    assert_eq!(guest.config.text("parent").as_deref(), Some(name.as_str()));
}
