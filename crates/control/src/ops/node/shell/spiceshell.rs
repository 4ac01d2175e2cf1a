//! `POST /nodes/{node}/spiceshell`

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn spiceshell(_op: Op) -> Result<Answer, Error> {
    let text = "the shell of a node is not served by SPICE: use termproxy or vncshell";
    Err(Error::conflict(text))
}
