//! Lists the files of the built web interface for the program to embed: none if it is not built.
//! `./x` builds it; cargo never runs npm.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let built = root.unwrap_or_default().join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let mut files = Vec::new();
    collect(&built, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&built).unwrap_or(&file).display();
        let path = file.canonicalize()?;
        list += &format!("    (\"/{name}\", include_bytes!({path:?})),\n");
    }
    list.push(']');
    let target = env::var_os("OUT_DIR").map(PathBuf::from);
    fs::write(target.unwrap_or_default().join("ui_files.rs"), list)
}

/// The files of a folder and those below it; hidden ones are not the interface's.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() {
            collect(&path, files)?;
        } else if !is_hidden {
            files.push(path);
        }
    }
    Ok(())
}
