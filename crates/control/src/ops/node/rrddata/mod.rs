//! `rrddata` of nodes, guests and storages: their history in rows.

mod lxc;
mod node;
mod qemu;
mod storage;

use history::{Consolidation, Kind, Object, Point, Timeframe};
use model::{Error, GuestKind, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("lxc_rrddata", lxc::lxc),
    pair!("node_rrddata", node::node),
    pair!("qemu_rrddata", qemu::qemu),
    pair!("storage_rrddata", storage::storage),
];

#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
}

/// Which part of a history is asked for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    timeframe: String,
    cf: Option<String>,
}

async fn guest(op: Op, kind: GuestKind) -> Result<Answer, Error> {
    let Guest { vmid } = op.params()?;
    op.records.of_kind(vmid, kind).await?;
    rows(&op, &Object::Guest(vmid)).await
}

async fn rows(op: &Op, object: &Object) -> Result<Answer, Error> {
    let (points, _) = points(op, object, &op.params()?).await?;
    let rows = points.iter().map(|point| row(object.kind(), point));
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

pub(super) async fn points(
    op: &Op,
    object: &Object,
    wanted: &Wanted,
) -> Result<(Vec<Point>, Timeframe), Error> {
    let unknown = || Error::invalid("timeframe", "no such timeframe");
    let timeframe = Timeframe::from_name(&wanted.timeframe).ok_or_else(unknown)?;
    let of = match wanted.cf.as_deref() {
        Some("MAX") => Consolidation::Max,
        _ => Consolidation::Average,
    };
    let (files, now) = (&op.context.node.history.files, op.context.clock.wall());
    Ok((files.points(object, timeframe, of, now).await?, timeframe))
}

/// A row has the columns that are known.
fn row(kind: Kind, point: &Point) -> Value {
    let mut row = Map::new();
    row.insert("time".to_owned(), point.time.into());
    for (column, value) in kind.columns().iter().zip(&point.values) {
        if value.is_finite() {
            row.insert((*column).to_owned(), number(*value));
        }
    }
    row.into()
}

/// A value of four bytes, with no more digits than it has.
fn number(value: f32) -> Value {
    match value.fract() == 0.0 {
        true => Value::from(value as i64),
        false => value
            .to_string()
            .parse::<f64>()
            .unwrap_or(value.into())
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_have_the_digits_that_are_kept() {
        assert_eq!(number(25_276_502_016.0), json!(25_276_502_016_i64));
        assert_eq!(number(0.1).to_string(), "0.1");
        assert_eq!(number(0.0).to_string(), "0");
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let point = Point {
            time: 60,
            values: vec![4.0, f32::NAN],
        };
        assert_eq!(row(Kind::Storage, &point), json!({"time": 60, "total": 4}));
    }
}
