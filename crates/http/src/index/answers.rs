//! The rows that the api answers by itself.

use model::Error;
use model::schema::Values;
use proto::Identity;
use proto::wire::Answer;
use serde_json::json;

use super::Index;

/// The version of the API that is answered for (docs/decisions/0005).
const API_VERSION: &str = "9.2.11";
const API_RELEASE: &str = "9.2";

/// What stands where Proxmox VE names its source revision. A constant: clients only check that
/// it is hexadecimal.
const REPOSITORY_ID: &str = "05713e0000000000";

type Respond = fn(&Index, &Identity, &Values) -> Result<Answer, Error>;

/// Each row's name with its answer. Directories have none here.
pub const ANSWERS: &[(&str, Respond)] = &[("version", version)];

fn version(_: &Index, _: &Identity, _: &Values) -> Result<Answer, Error> {
    Ok(Answer::new(json!({
        "version": API_VERSION,
        "release": API_RELEASE,
        "repoid": REPOSITORY_ID,
    })))
}
