//! `rrd` of nodes, guests and storages: their history as a picture.

mod lxc;
mod node;
mod qemu;
mod storage;

use history::Object;
use model::{Error, ErrorKind, GuestKind, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::rrddata::{self, Wanted};
use crate::graph::{Graph, Line};
use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("lxc_rrd", lxc::lxc),
    pair!("node_rrd", node::node),
    pair!("qemu_rrd", qemu::qemu),
    pair!("storage_rrd", storage::storage),
];

#[derive(Deserialize)]
struct Shown {
    ds: String,
}

#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
}

async fn guest(op: Op, kind: GuestKind) -> Result<Answer, Error> {
    let Guest { vmid } = op.params()?;
    op.records.of_kind(vmid, kind).await?;
    let file = format!("/var/lib/rrdcached/db/pve-vm-9.0/{vmid}");
    picture(&op, &Object::Guest(vmid), &file).await
}

/// The colours of the lines, and so their highest number.
const COLOURS: [[u8; 3]; 2] = [[0x00, 0xdd, 0xff], [0xff, 0x00, 0x00]];

/// Draws columns of an object. `file` is what Proxmox VE would call it, which its texts show.
async fn picture(op: &Op, object: &Object, file: &str) -> Result<Answer, Error> {
    let Shown { ds } = op.params()?;
    let wanted: Wanted = op.params()?;
    let names: Vec<&str> = ds
        .split([',', ';', ' ', '\0'])
        .filter(|name| !name.is_empty())
        .collect();
    if names.len() > COLOURS.len() {
        return Err(Error::conflict("fixme: no color definition"));
    }
    let mut columns = Vec::new();
    for name in &names {
        let missing = || {
            let text = format!("RRD error: No DS called '{name}' in '{file}'");
            Error::new(ErrorKind::NotFound, text)
        };
        columns.push(object.kind().column(name).ok_or_else(missing)?);
    }
    let (points, timeframe) = rrddata::points(op, object, &wanted).await?;
    let graph = Graph {
        lines: lines(&names, &columns, &points),
        times: points.iter().map(|point| point.time).collect(),
        timeframe,
    };
    // Each character is a byte of the picture.
    let image: String = graph.png()?.into_iter().map(char::from).collect();
    let filename = format!("{file}_{}.png", names.join("_"));
    Ok(Answer::new(json!({"filename": filename, "image": image})))
}

fn lines(names: &[&str], columns: &[usize], points: &[history::Point]) -> Vec<Line> {
    let of = |(index, column): (usize, &usize)| {
        let name = names[index];
        // Shares are shown as percent.
        let scale = if matches!(name, "cpu" | "iowait") {
            100.0
        } else {
            1.0
        };
        let values = points.iter().map(|point| point.values[*column] * scale);
        Line {
            name: name.to_owned(),
            colour: COLOURS[index],
            values: values.collect(),
        }
    };
    columns.iter().enumerate().map(of).collect()
}
