//! `GET /nodes/{node}/rrddata`

use history::Object;
use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn node(op: Op) -> Result<Answer, Error> {
    super::rows(&op, &Object::Node).await
}
