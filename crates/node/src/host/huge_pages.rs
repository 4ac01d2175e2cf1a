//! Pools of huge pages, which the kernel makes when it is asked.

use std::path::{Path, PathBuf};

use guest::HugePool;
use model::Error;
use sys::SharedHost;

/// The sizes that a host can have, in MiB, the largest first.
const SIZES: [u32; 2] = [1024, 2];

fn folder(pool: &HugePool) -> PathBuf {
    let below = match pool.node {
        None => PathBuf::from("/sys/kernel/mm/hugepages"),
        Some(node) => PathBuf::from(format!("/sys/devices/system/node/node{node}/hugepages")),
    };
    below.join(format!("hugepages-{}kB", u64::from(pool.page_mib) << 10))
}

/// The sizes that this host has, the largest first.
pub(crate) async fn sizes(host: &SharedHost) -> Result<Vec<u32>, Error> {
    let mut sizes = Vec::new();
    for page_mib in SIZES {
        let pool = HugePool {
            page_mib,
            node: None,
            count: 0,
        };
        if host.stat(&folder(&pool)).await?.is_some() {
            sizes.push(page_mib);
        }
    }
    Ok(sizes)
}

async fn count(host: &SharedHost, folder: &Path, name: &str) -> Result<u64, Error> {
    let path = folder.join(name);
    let content = host.read(&path).await?;
    let text = String::from_utf8_lossy(&content);
    let unreadable = || Error::unavailable(format!("{} cannot be read", path.display()));
    text.trim().parse().map_err(|_| unreadable())
}

/// How many pages there are, and how many of them are free.
pub(crate) async fn look(host: &SharedHost, pool: &HugePool) -> Result<(u64, u64), Error> {
    let folder = folder(pool);
    let all = count(host, &folder, "nr_hugepages").await?;
    let free = count(host, &folder, "free_hugepages").await?;
    // A node's pool does not say what is reserved of it.
    let reserved = match pool.node {
        None => count(host, &folder, "resv_hugepages").await?,
        Some(_) => 0,
    };
    Ok((all, free.saturating_sub(reserved)))
}

/// Has the kernel make pages until there are this many, or none.
pub(crate) async fn raise(host: &SharedHost, pool: &HugePool, to: u64) -> Result<(), Error> {
    let path = folder(pool).join("nr_hugepages");
    let (before, _) = look(host, pool).await?;
    if before >= to {
        return Ok(());
    }
    host.set(&path, to.to_string().as_bytes()).await?;
    let (now, _) = look(host, pool).await?;
    if now >= to {
        return Ok(());
    }
    host.set(&path, before.to_string().as_bytes()).await?;
    let size = pool.page_mib;
    let text = format!("hugepage allocation failed: {now} of {to} pages of {size} MiB");
    Err(Error::unavailable(text))
}

/// Gives pages back to the host, as many of them as are free.
pub(crate) async fn lower(host: &SharedHost, pool: &HugePool) -> Result<(), Error> {
    let (all, free) = look(host, pool).await?;
    let gone = pool.count.min(free);
    if gone == 0 {
        return Ok(());
    }
    let path = folder(pool).join("nr_hugepages");
    Ok(host.set(&path, (all - gone).to_string().as_bytes()).await?)
}
