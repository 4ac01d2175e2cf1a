//! The rows that the api answers by itself.

use model::Error;
use model::schema::Values;
use proto::wire::Answer;
use proto::{API_RELEASE, API_VERSION, Identity, REPOSITORY_ID};
use serde_json::json;

use super::{CHANGES, Content, Index, changes, guests, resources};

type Respond = fn(&Index, &Identity, &Values) -> Result<Content, Error>;

/// Each row's name with its answer. Directories have none here.
pub const ANSWERS: &[(&str, Respond)] = &[
    (CHANGES, changes::changes),
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
    if let Some(console) = &index.snapshot().console {
        version["console"] = (**console).into();
    }
    Ok(Content::Answer(Answer::new(version)))
}
