//! `ostler container-image`: unpacks an OCI image into the files of a new container. The agent runs it
//! in a fence around them, as the container's root.

mod place;

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use guest::lxc::image::{ImageOrder, unpack};
use sys::Cell;

use super::ordered::carry_out;
use place::Below;

pub(crate) fn container_image() -> ExitCode {
    carry_out(|order: ImageOrder| {
        let archive = File::open(&order.archive).context("opening the archive")?;
        let mut place = Below::open(Cell::INSIDE).context("entering the container's files")?;
        let mut say = |line: &str| {
            let _ = writeln!(io::stderr(), "{line}");
        };
        Ok(unpack(archive, &order.arch, &mut place, &mut say)?)
    })
}
