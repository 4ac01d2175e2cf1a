//! What a join or a leave left to the next start of the agent, before anything is opened.

use std::path::Path;

use model::Error;
use sys::SharedHost;

use crate::Paths;
use crate::paths::SEALING_KEYS;
use crate::pki::PairPaths;

/// Finishes both. May be repeated: a crash meanwhile loses nothing that is still needed.
pub async fn finish(host: &SharedHost, paths: &Paths) -> Result<(), Error> {
    if host.stat(&paths.leaving()).await?.is_some() {
        forget_cluster(host, paths).await?;
    }
    let is_decided = host.stat(&paths.store_pointer()).await?.is_some();
    if is_decided && host.stat(&paths.joining()).await?.is_some() {
        exchange_certificates(host, paths).await?;
    }
    Ok(())
}

/// Puts the cluster's certificates in the place of this node's own.
async fn exchange_certificates(host: &SharedHost, paths: &Paths) -> Result<(), Error> {
    let given = PairPaths::of_member(&paths.joining());
    for ((_, given), (_, own)) in given.iter().zip(PairPaths::of_member(&paths.tls())) {
        own.write(host, &given.read(host).await?).await?;
    }
    let keys = host.read(&paths.joining().join(SEALING_KEYS)).await?;
    host.write(&paths.sealing_keys(), &keys, 0o600).await?;
    remove_served(host, paths).await?;
    // One of another cluster.
    host.remove_tree(&paths.replica()).await?;
    // Renamed first: what is left of a broken removal must not be read again.
    let done = paths.joining().with_extension("done");
    host.remove_tree(&done).await?;
    host.rename(&paths.joining(), &done).await?;
    host.remove_tree(&done).await?;
    Ok(())
}

/// Deletes the cluster's state and certificates. The mark goes last.
async fn forget_cluster(host: &SharedHost, paths: &Paths) -> Result<(), Error> {
    host.remove(&paths.store_pointer()).await?;
    for folder in [paths.etcd(), paths.replica(), paths.tls(), paths.joining()] {
        host.remove_tree(&folder).await?;
    }
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", paths.database().display());
        host.remove(Path::new(&file)).await?;
    }
    remove_served(host, paths).await?;
    host.remove(&paths.leaving()).await?;
    Ok(())
}

/// The API's certificate is made anew when it is missing.
pub(crate) async fn remove_served(host: &SharedHost, paths: &Paths) -> Result<(), Error> {
    let served = paths.served_certificate();
    host.remove(&served.with_file_name("key.pem")).await?;
    host.remove(&served).await?;
    Ok(())
}
