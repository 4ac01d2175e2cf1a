//! `/ostler/cluster/snapshot-jobs`

mod create;
mod delete;
mod get;
mod list;
mod run;
mod update;

use model::schema::format::split_list;
use model::{Error, NodeName, PoolId};
use node::schedule::{Run, Runs, Zone};
use node::snapshot_jobs::{Change, KIND, SCHEDULE_OF, SnapshotJob};
use proto::table::SNAPSHOT_JOB;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("snapshot_job_create", create::create),
    pair!("snapshot_job_delete", delete::delete),
    pair!("snapshot_job_get", get::get),
    pair!("snapshot_job_list", list::list),
    pair!("snapshot_job_run", run::run),
    pair!("snapshot_job_update", update::update),
];

/// The options that say which guests; a job has one of them.
const CHOICES: [&str; 4] = ["all", "pool", "tag", "vmid"];

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Which of `CHOICES` a job has. One that is turned off is none.
fn choices(job: &SnapshotJob) -> impl Iterator<Item = &'static str> {
    let options = &job.settings.options;
    let has = |name: &&str| match options.get(*name) {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(other) => *other != 0,
    };
    CHOICES
        .into_iter()
        .filter(has)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Refuses a job that would never run.
fn check_when(job: &SnapshotJob) -> Result<(), Error> {
    let has = |name: &str| job.settings.options.contains_key(name);
    if !has("schedule") && !has("before") {
        let text = "'schedule', 'before' or both say when snapshots are made";
        return Err(Error::invalid("schedule", text));
    }
    let before = job.settings.options.get("before").and_then(Value::as_str);
    let words: Vec<&str> = split_list(before.unwrap_or_default()).collect();
    if has("before") && words.is_empty() {
        return Err(Error::invalid("before", "names nothing"));
    }
    for word in words {
        let known: Result<Change, _> = word.parse();
        known.map_err(|reason| Error::invalid("before", reason))?;
    }
    Ok(())
}

/// Refuses a job that does not say which guests, or says so twice.
fn check_choice(job: &SnapshotJob) -> Result<(), Error> {
    let mut chosen = choices(job);
    let Some(choice) = chosen.next() else {
        let text = "one of 'vmid', 'pool', 'tag' and 'all' says which guests";
        return Err(Error::invalid("vmid", text));
    };
    if let Some(other) = chosen.next() {
        let text = format!("not together with '{choice}': one of them says which guests");
        return Err(Error::invalid(other, text));
    }
    let options = &job.settings.options;
    if options.contains_key("exclude") && choice != "all" {
        return Err(Error::invalid("exclude", "only together with 'all'"));
    }
    let is_empty = |name: &str| options.get(name).is_some_and(|value| *value == "");
    match choice {
        "vmid" | "tag" if is_empty(choice) => Err(Error::invalid(choice, "names nothing")),
        _ => Ok(()),
    }
}

/// Refuses a pool and a node that are not there.
fn check_names(op: &Op, job: &SnapshotJob) -> Result<(), Error> {
    let text = |name: &str| job.settings.options.get(name).and_then(Value::as_str);
    if let Some(pool) = text("pool") {
        let access = op.context.authority.access();
        let is_there = PoolId::new(pool).is_ok_and(|pool| access.pool(&pool).is_some());
        if !is_there {
            let text = format!("pool '{pool}' does not exist");
            return Err(Error::invalid("pool", text));
        }
    }
    let node = &op.context.node;
    let is_member =
        |name: &NodeName| *name == node.name || node.cluster.members.get(name).is_some();
    let Some(name) = text("node") else {
        return Ok(());
    };
    match NodeName::new(name) {
        Ok(name) if is_member(&name) => Ok(()),
        _ => Err(Error::invalid("node", format!("no such node '{name}'"))),
    }
}

/// What of a job can be deleted.
fn options() -> Vec<&'static str> {
    let names = SNAPSHOT_JOB.iter().map(|field| field.name);
    names.chain(["schedule"]).collect()
}

/// Jobs as answers show them.
async fn shown(op: &Op, jobs: Vec<SnapshotJob>) -> Result<Vec<Value>, Error> {
    let runs = op.records.all_runs(KIND).await?;
    let node = &op.context.node;
    let zone = Zone::of(node).await?;
    let mut rows = Vec::new();
    for job in jobs {
        let of = runs.iter().filter(|(id, ..)| *id == job.id);
        let of: Vec<(&NodeName, &Runs)> = of.map(|(_, node, runs)| (node, runs)).collect();
        let mut row: Map<String, Value> = job.settings.options.clone().into_iter().collect();
        row.insert("id".to_owned(), job.id.as_str().into());
        row.insert("digest".to_owned(), job.settings.digest().into());
        row.entry(SCHEDULE_OF).or_insert(0.into());
        if job.is_enabled()
            && let Some(event) = job.event()?
            && let Some(next) = zone.next(&event, op.context.clock.wall()).await?
        {
            row.insert("next-run".to_owned(), next.into());
        }
        let missed: u64 = of.iter().map(|(_, runs)| runs.missed_count).sum();
        row.insert("missed".to_owned(), missed.into());
        let lasts = of.iter().filter_map(|(_, runs)| runs.last.as_ref());
        if let Some(last) = lasts.clone().map(|last| last.upid.starttime).max() {
            row.insert("last-run".to_owned(), last.into());
            row.insert("state".to_owned(), state(lasts).into());
        }
        let nodes: Vec<Value> = of.iter().map(|(node, runs)| on_node(node, runs)).collect();
        row.insert("nodes".to_owned(), nodes.into());
        rows.push(row.into());
    }
    Ok(rows)
}

/// The last runs of all nodes in a word: one that runs, else the worst.
fn state<'a>(lasts: impl Iterator<Item = &'a Run> + Clone) -> String {
    if lasts.clone().any(|last| last.ended.is_none()) {
        return "running".to_owned();
    }
    let rank = |status: &str| match status {
        "OK" => 0,
        status if status.starts_with("WARNINGS") => 1,
        _ => 2,
    };
    let states = lasts.filter_map(|last| last.status.as_deref());
    let worst = states.max_by_key(|status| rank(status));
    worst.unwrap_or("OK").to_owned()
}

fn on_node(node: &NodeName, runs: &Runs) -> Value {
    let missed = runs.missed.iter();
    let missed = missed.map(|missed| json!({"due": missed.due, "reason": missed.reason.as_str()}));
    let mut row = json!({
        "node": node.as_str(),
        "missed": runs.missed_count,
        "missed-runs": missed.collect::<Vec<_>>(),
    });
    let Some(last) = &runs.last else {
        return row;
    };
    row["upid"] = last.upid.to_string().into();
    row["starttime"] = last.upid.starttime.into();
    let optional = [
        ("due", last.due.map(Value::from)),
        ("endtime", last.ended.map(Value::from)),
        ("status", last.status.clone().map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            row[name] = value;
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use node::Settings;

    use super::*;

    fn job(options: Value) -> SnapshotJob {
        let Value::Object(options) = options else {
            panic!("an object")
        };
        let options = options.into_iter().collect();
        SnapshotJob {
            id: "daily".to_owned(),
            settings: Settings { options },
        }
    }

    #[test]
    fn one_option_says_which_guests() {
        let check = |options| check_choice(&job(options));
        assert!(check(json!({"all": true, "exclude": "100"})).is_ok());
        assert!(check(json!({"all": false, "vmid": "100"})).is_ok());
        for (options, field) in [
            (json!({}), "vmid"),
            (json!({"all": false}), "vmid"),
            (json!({"vmid": ""}), "vmid"),
            (json!({"pool": "p", "vmid": "100"}), "vmid"),
            (json!({"all": true, "tag": "db"}), "tag"),
            (json!({"tag": "db", "exclude": "100"}), "exclude"),
        ] {
            let error = check(options.clone()).unwrap_err();
            assert!(error.fields.contains_key(field), "{options}: {error:?}");
        }
    }

    #[test]
    fn a_job_has_a_time_or_changes_that_it_comes_before() {
        let check = |options| check_when(&job(options));
        assert!(check(json!({"schedule": "2:30"})).is_ok());
        assert!(check(json!({"before": "config,exec"})).is_ok());
        for (options, field) in [
            (json!({}), "schedule"),
            (json!({"before": ""}), "before"),
            (json!({"before": "config,migrate"}), "before"),
        ] {
            let error = check(options.clone()).unwrap_err();
            assert!(error.fields.contains_key(field), "{options}: {error:?}");
        }
    }

    #[test]
    fn the_worst_last_run_is_shown() {
        let run = |status: Option<&str>| Run {
            due: Some(1),
            upid: "UPID:pve1:00000001:00000001:6B00D68B:snapshotjob:daily:root@pam:"
                .parse()
                .unwrap(),
            ended: status.map(|_| 2),
            status: status.map(str::to_owned),
        };
        let of = |statuses: &[Option<&str>]| {
            let runs: Vec<Run> = statuses.iter().map(|status| run(*status)).collect();
            state(runs.iter())
        };
        assert_eq!(of(&[Some("OK"), Some("WARNINGS: 1")]), "WARNINGS: 1");
        assert_eq!(
            of(&[Some("job errors: 100"), Some("OK")]),
            "job errors: 100"
        );
        assert_eq!(of(&[Some("job errors: 100"), None]), "running");
    }
}
