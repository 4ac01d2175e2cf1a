//! `GET /nodes/{node}/query-oci-repo-tags`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Query {
    reference: String,
}

pub(super) async fn query_oci_repo_tags(op: Op) -> Result<Answer, Error> {
    let Query { reference } = op.params()?;
    let options = op.records.cluster_options().await?;
    let proxy = options.http_proxy();
    let tags = op.context.node.repository_tags(&reference, proxy);
    let tags = tags.await?;
    Ok(Answer::new(tags))
}
