//! `POST /ostler/nodes/{node}/adopt`: shows what this node can take over, unless `dry-run` is 0. Then the plan
//! that was shown is carried out, which its caller names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use model::schema::format::split_list;
use model::{Error, PoolId, StorageMap, VmId};
use node::tasks::NodeAdopt;
use node::text_digest;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{PoolLine, pools};
use super::guests::{self, Guests};
use super::left::left;
use super::running;
use super::source::{GuestPath, Source};
use super::storages::{self, Storages};
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Adopt {
    source: PathBuf,
    source_node: Option<String>,
    storages: Option<String>,
    storage_map: Option<String>,
    vmids: Option<String>,
    drop: Option<String>,
    dry_run: Option<bool>,
    confirm: Option<String>,
}

pub(super) async fn adopt(op: Op) -> Result<Answer, Error> {
    let wanted: Adopt = op.params()?;
    running::check(&op.context.node.host).await?;
    let source = Source::read(&op.context.node, &wanted.source).await?;
    let from = source.node(wanted.source_node.as_deref(), &op.context.node.name)?;
    let map = map(wanted.storage_map.as_deref())?;
    let of_storages = storages::Wanted {
        only: wanted.storages.as_deref().map(names),
        map: &map,
        from: from.as_deref(),
    };
    let storages = Storages::plan(&op, &source, &of_storages).await?;
    let of_guests = guests::Wanted {
        only: wanted.vmids.as_deref().map(numbers).transpose()?,
        map: &map,
        drop: names(wanted.drop.as_deref().unwrap_or_default()),
    };
    let files = source.guests(from.as_deref());
    let mut guests = Guests::plan(&op, &source, files.clone(), &of_guests, &storages).await?;
    join_pools(&source, &mut guests);
    let mut answer = json!({
        "storages": storages.rows,
        "guests": guests.rows,
        "left": left(&source, from.as_deref()),
    });
    if let Some(from) = &from {
        answer["source-node"] = from.as_str().into();
    }
    let digest = digest(&source, &files, &answer);
    answer["digest"] = digest.as_str().into();
    if wanted.dry_run != Some(false) {
        return Ok(Answer::new(answer));
    }
    if wanted.confirm.as_deref() != Some(&digest) {
        let text = format!("confirm the plan that was shown: its digest is {digest} now");
        return Err(Error::invalid("confirm", text));
    }
    if storages.adopted.is_empty() && guests.adopted.is_empty() {
        return Err(Error::conflict("the plan has nothing to adopt"));
    }
    let task = NodeAdopt::new(storages.adopted, guests.adopted);
    answer["upid"] = op.context.submit(&op, "", task).await?.data;
    Ok(Answer::new(answer))
}

/// Stands for the plan, and for the files that it was made of.
fn digest(source: &Source, files: &[GuestPath], plan: &Value) -> String {
    let mut text = plan.to_string();
    let paths = files.iter().map(|file| file.path.as_str());
    for path in paths.chain(["storage.cfg", "user.cfg"]) {
        text.push_str(&source.text(path).unwrap_or_default());
    }
    text_digest(text.as_bytes())
}

/// Only pairs: one storage for all others would mix volumes of the same name.
fn map(text: Option<&str>) -> Result<StorageMap, Error> {
    let Some(text) = text else {
        return Ok(StorageMap::default());
    };
    let invalid = |reason: String| Error::invalid("storage-map", reason);
    if let Some(entry) = split_list(text).find(|entry| !entry.contains(':')) {
        return Err(invalid(format!("'{entry}' is not OLD:NEW")));
    }
    let mut targets: Vec<&str> = split_list(text)
        .filter_map(|one| Some(one.split_once(':')?.1))
        .collect();
    targets.sort_unstable();
    if let Some(twice) = targets.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(invalid(format!("'{}' is named twice", twice[0])));
    }
    StorageMap::parse(text).map_err(invalid)
}

fn names(list: &str) -> Vec<String> {
    split_list(list).map(str::to_owned).collect()
}

fn numbers(list: &str) -> Result<BTreeSet<VmId>, Error> {
    let number = |text: &str| {
        let number = text.parse();
        number.map_err(|_| Error::invalid("vmids", format!("'{text}' is no number of a guest")))
    };
    split_list(list).map(number).collect()
}

/// Guests stay members of their pools.
fn join_pools(source: &Source, guests: &mut Guests) {
    let lines = pools(&source.text("user.cfg").unwrap_or_default());
    let comments: BTreeMap<String, String> = lines
        .iter()
        .map(|line| (line.id.clone(), line.comment.clone()))
        .collect();
    for guest in &mut guests.adopted {
        let vmid = guest.vmid().to_string();
        let is_member = |line: &&PoolLine| line.guests.contains(&vmid);
        let Some(line) = lines.iter().find(is_member) else {
            continue;
        };
        let Ok(pool) = line.id.parse::<PoolId>() else {
            continue;
        };
        guest.pools = with_parents(&pool, &comments);
        let row = guests
            .rows
            .iter_mut()
            .find(|row| row["vmid"] == guest.vmid().get());
        if let Some(row) = row {
            row["pool"] = pool.as_str().into();
        }
    }
}

/// The pool, and before it those that it lies in, each with its comment.
fn with_parents(pool: &PoolId, comments: &BTreeMap<String, String>) -> Vec<(PoolId, String)> {
    let text = pool.as_str();
    let ends = text
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([text.len()]);
    let all = ends.filter_map(|end| text[..end].parse::<PoolId>().ok());
    all.map(|id| {
        let comment = comments.get(id.as_str()).cloned().unwrap_or_default();
        (id, comment)
    })
    .collect()
}
