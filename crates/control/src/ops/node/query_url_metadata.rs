//! `GET /nodes/{node}/query-url-metadata`

use std::path::Path;

use model::Error;
use node::host::fetch::{SYSTEM_ROOTS, Trust, metadata};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Query {
    url: String,
    verify_certificates: Option<bool>,
}

pub(super) async fn query_url_metadata(op: Op) -> Result<Answer, Error> {
    let wanted: Query = op.params()?;
    let verify = wanted.verify_certificates != Some(false);
    let options = op.records.cluster_options().await?;
    let trust = Trust::new(verify, Path::new(SYSTEM_ROOTS))?;
    let trust = trust.through(options.http_proxy())?;
    let found = metadata(&wanted.url, &trust).await?;
    let fields = [
        ("filename", found.file_name.map(Value::from)),
        ("mimetype", found.media_type.map(Value::from)),
        ("size", found.size.map(Value::from)),
    ];
    let known = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(Answer::new(known.collect::<Map<String, Value>>()))
}
