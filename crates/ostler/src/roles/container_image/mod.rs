//! `ostler container-image`: unpacks an OCI image into the files of a new container. The agent runs it
//! in a fence around them, as the container's root.

mod place;

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use guest::lxc::image::{ImageOrder, unpack};
use sys::Cell;

use place::Below;

pub(crate) fn container_image() -> ExitCode {
    match carry_out() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out() -> Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let order: ImageOrder = serde_json::from_slice(&input).context("reading the order")?;
    let archive = File::open(&order.archive).context("opening the archive")?;
    let mut place = Below::open(Cell::INSIDE).context("entering the container's files")?;
    let mut say = |line: &str| {
        let _ = writeln!(io::stderr(), "{line}");
    };
    let outcome = unpack(archive, &order.arch, &mut place, &mut say)?;
    let text = serde_json::to_vec(&outcome)?;
    Ok(io::stdout().write_all(&text)?)
}
