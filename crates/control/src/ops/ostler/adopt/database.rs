//! The database behind `/etc/pve`: SQLite with one table of folders and files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::Error;
use node::NodeContext;
use rusqlite::{Connection, OpenFlags};

/// What a row of the table is. Source: the kinds of entries of a folder in Linux.
const FOLDER: i64 = 4;
const FILE: i64 = 8;

/// Twice what Proxmox VE holds: a database has room of its own.
const DATABASE_MAX: u64 = 256 << 20;

/// The folder of all folders.
const ROOT: i64 = 0;

/// Reads all files. A copy is read: SQLite may have to write to what was not closed (its `-wal`), and the
/// original stays as it is.
pub(super) async fn read(
    node: &NodeContext,
    path: &Path,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let host = &node.host;
    let folder = node
        .paths
        .runtime()
        .join(format!("adopt-{}", uuid::Uuid::new_v4()));
    host.create_dir(&folder, 0o700).await?;
    let files = async {
        let copy = folder.join("config.db");
        for suffix in ["", "-wal"] {
            let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            if let Some(found) = host.stat(&with(path)).await? {
                if found.size > DATABASE_MAX {
                    let text = format!("{} is too large", with(path).display());
                    return Err(Error::invalid("source", text));
                }
                let content = host.read(&with(path)).await?;
                host.write(&with(&copy), &content, 0o600).await?;
            }
        }
        let files = tokio::task::spawn_blocking(move || entries(&copy)).await;
        let files = files.map_err(|error| Error::bug(error.to_string()))?;
        files.map_err(|error| {
            let text = format!("{} is no database of Proxmox VE: {error}", path.display());
            Error::invalid("source", text)
        })
    };
    let files = files.await;
    host.remove_tree(&folder).await?;
    files
}

/// A row: its folder, its kind, its name, what it holds.
type Row = (i64, i64, String, Vec<u8>);

fn entries(path: &Path) -> rusqlite::Result<BTreeMap<String, Vec<u8>>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The database's own functions and views are not run.
    database.pragma_update(None, "trusted_schema", false)?;
    let mut select = database.prepare("SELECT inode, parent, type, name, data FROM tree")?;
    let rows = select.query_map([], |row| {
        let data: Option<Vec<u8>> = row.get(4)?;
        let entry: Row = (
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            data.unwrap_or_default(),
        );
        Ok((row.get(0)?, entry))
    })?;
    let tree = rows.collect::<rusqlite::Result<_>>()?;
    Ok(files(&tree))
}

/// The files by their paths. What hangs on no root, or on itself, is none.
fn files(tree: &BTreeMap<i64, Row>) -> BTreeMap<String, Vec<u8>> {
    let path = |row: &Row| {
        let (mut parent, mut path) = (row.0, row.2.clone());
        for _ in 0..tree.len() {
            if parent == ROOT {
                return Some(path);
            }
            let (above, kind, name, _) = tree.get(&parent)?;
            if *kind != FOLDER {
                return None;
            }
            path = format!("{name}/{path}");
            parent = *above;
        }
        None
    };
    let all = tree.values().filter(|(_, kind, ..)| *kind == FILE);
    all.filter_map(|row| Some((path(row)?, row.3.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(parent: i64, kind: i64, name: &str, data: &[u8]) -> Row {
        (parent, kind, name.to_owned(), data.to_vec())
    }

    #[test]
    fn files_have_the_paths_of_their_folders() {
        let tree = BTreeMap::from([
            (0, row(0, FILE, "__version__", b"")),
            (2, row(0, FOLDER, "nodes", b"")),
            (3, row(2, FOLDER, "pve1", b"")),
            (4, row(3, FILE, "config", b"a")),
            (5, row(0, FILE, "storage.cfg", b"b")),
            // Of no folder, of a file, and two of each other.
            (6, row(99, FILE, "lost", b"")),
            (7, row(5, FILE, "below", b"")),
            (8, row(9, FOLDER, "one", b"")),
            (9, row(8, FOLDER, "two", b"")),
            (10, row(9, FILE, "round", b"")),
        ]);
        let files = files(&tree);
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["__version__", "nodes/pve1/config", "storage.cfg"]);
        assert_eq!(files["nodes/pve1/config"], b"a");
    }
}
