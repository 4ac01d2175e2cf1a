//! `GET /nodes/{node}/rrd`

use history::Object;
use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn node(op: Op) -> Result<Answer, Error> {
    let file = format!(
        "/var/lib/rrdcached/db/pve-node-9.0/{}",
        op.context.node.name
    );
    super::picture(&op, &Object::Node, &file).await
}
