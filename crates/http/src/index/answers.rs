//! The rows that the api answers by itself.

use model::Error;
use model::schema::Values;
use proto::wire::Answer;
use proto::{API_RELEASE, API_VERSION, Identity, REPOSITORY_ID};
use serde_json::json;

use super::{Content, Index, guests, resources};

type Respond = fn(&Index, &Identity, &Values) -> Result<Content, Error>;

/// Each row's name with its answer. Directories have none here.
pub const ANSWERS: &[(&str, Respond)] = &[
    ("cluster_resources", resources::cluster_resources),
    ("lxc_list", guests::lxc_list),
    ("node_list", resources::node_list),
    ("qemu_list", guests::qemu_list),
    ("version", version),
];

fn version(index: &Index, _: &Identity, _: &Values) -> Result<Content, Error> {
    let mut version = json!({
        "version": API_VERSION,
        "release": API_RELEASE,
        "repoid": REPOSITORY_ID,
    });
    let console = index
        .follower()
        .copy
        .as_ref()
        .and_then(|copy| copy.console.clone());
    if let Some(console) = console {
        version["console"] = console.into();
    }
    Ok(Content::Answer(Answer::new(version)))
}
