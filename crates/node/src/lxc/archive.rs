//! Tar, for the files of one directory: in a fence with them, as their container's root.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use sys::{Cell, CellMount, CellSource, Command};

use super::mounts::cell_of;

pub(crate) const PROGRAM: &str = "tar";

/// What both directions are given.
const OPTIONS: [&str; 8] = [
    "--file=-",
    "--numeric-owner",
    "--sparse",
    "--acls",
    "--xattrs",
    "--xattrs-include=user.*",
    "--xattrs-include=security.capability",
    "--directory",
];

/// Tar that writes an archive to this descriptor.
pub(crate) fn pack(first_id: Option<u32>, source: CellSource, archive: OwnedFd) -> Command {
    tar(
        first_id,
        mount(source, true),
        (1, archive),
        &["--create"],
        &["."],
    )
}

/// Tar that reads one from it.
pub(crate) fn unpack(first_id: Option<u32>, source: CellSource, archive: OwnedFd) -> Command {
    let does = ["--extract", "--preserve-permissions"];
    tar(first_id, mount(source, false), (0, archive), &does, &[])
}

fn tar(
    first_id: Option<u32>,
    mount: CellMount,
    archive: (i32, OwnedFd),
    does: &[&str],
    what: &[&str],
) -> Command {
    let (cell, fence) = cell_of(first_id, vec![mount]);
    let (number, descriptor) = archive;
    let args = [does, &OPTIONS[..], &[Cell::INSIDE], what].concat();
    Command {
        descriptors: vec![(number, Arc::new(descriptor))],
        timeout: None,
        ..Command::new(PROGRAM).args(args)
    }
    .fence(fence)
    .cell(cell)
}

/// A file system as the root of a cell.
pub(crate) fn mount(source: CellSource, read_only: bool) -> CellMount {
    CellMount {
        source,
        at: "/".to_owned(),
        read_only,
        options: Vec::new(),
        acl: None,
        in_use: false,
    }
}
