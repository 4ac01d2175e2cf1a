//! `ostler container-files`: writes what a container is to know of itself into its files. The agent
//! runs it in a fence around them, as the container's root.
//!
//! The container's own root may have made links, pipes and devices of any file. Paths are resolved
//! with its root as the root, devices do not work, and only regular files are opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use guest::lxc::setup::{Order, Tree, apply};
use rustix::fs::OFlags;
use sys::Cell;

use super::ordered::carry_out;

/// No file that is read here is larger.
const LARGEST: u64 = 4 << 20;

/// How many links to a new place of a file are followed.
const HOPS: usize = 8;

pub(crate) fn container_files() -> ExitCode {
    carry_out(|order: Order| {
        rustix::process::chroot(Cell::INSIDE).context("entering the container's files")?;
        rustix::process::chdir("/")?;
        Ok(apply(&Inside, &order)?)
    })
}

/// The files below the root of this process.
struct Inside;

/// Opens a regular file; a pipe does not make it wait.
fn open(path: &str) -> io::Result<Option<File>> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path);
    let file = match opened {
        Err(error) if is_missing(&error) => return Ok(None),
        file => file?,
    };
    match file.metadata()?.is_file() {
        true => Ok(Some(file)),
        false => Err(wrong(path, "is not a regular file")),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn wrong(path: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} {why}"))
}

/// Where a file really is, with the links that lead to it followed; it need not exist.
pub(super) fn target_of(path: &str) -> io::Result<std::path::PathBuf> {
    let mut at = Path::new(path).to_owned();
    for _ in 0..HOPS {
        let Ok(target) = fs::read_link(&at) else {
            return Ok(at);
        };
        at = at.parent().unwrap_or(Path::new("/")).join(target);
    }
    Err(wrong(path, "is a link that leads nowhere"))
}

impl Tree for Inside {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = open(path)? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut content)?;
        match content.len() as u64 > LARGEST {
            true => Err(wrong(path, "is too large")),
            false => Ok(Some(content)),
        }
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let before = open(path)?.map(|file| file.metadata()).transpose()?;
        let target = target_of(path)?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let new = folder.join(format!(".{name}.new"));
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content)?;
        let mode = before.as_ref().map_or(mode, MetadataExt::mode);
        if let Some(before) = before {
            chown(&new, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
        file.sync_all()?;
        fs::rename(&new, &target)
    }

    fn remove(&self, path: &str) -> io::Result<bool> {
        match fs::remove_file(path) {
            Err(error) if is_missing(&error) => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    fn link(&self, target: &str, path: &str) -> io::Result<()> {
        if let Some(folder) = Path::new(path).parent() {
            fs::create_dir_all(folder)?;
        }
        self.remove(path)?;
        symlink(target, path)
    }

    fn read_link(&self, path: &str) -> io::Result<Option<String>> {
        let target = fs::read_link(path).ok();
        Ok(target.map(|target| target.to_string_lossy().into_owned()))
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        Ok(fs::symlink_metadata(path).is_ok())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(path) {
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        Ok(names
            .map(|name| name.to_string_lossy().into_owned())
            .collect())
    }
}
