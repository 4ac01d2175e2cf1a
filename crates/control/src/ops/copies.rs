//! What operations that copy, move and resize volumes share, of whatever guest.

use model::{ByteSize, Error, GuestConfig, Privilege};
use node::tasks::NewSize;
use node::volumes_of;

use super::Op;
use super::volume_access::require_space;

/// Refuses a caller without the right to allocate on the storage of a disk.
pub(super) fn require_space_beside(op: &Op, config: &GuestConfig, disk: &str) -> Result<(), Error> {
    let named = volumes_of(config).into_iter();
    let named = named.filter(|(option, _)| *option == disk);
    require_space(op, named.map(|(_, volume)| volume.storage().clone()))
}

/// The rate for copying disks: as requested in KiB/s, or from the cluster's options. A caller
/// without the right to change those cannot exceed them. 0 for no limit.
pub(super) async fn bytes_per_s(
    op: &Op,
    operation: &str,
    asked_kib: Option<u64>,
) -> Result<u64, Error> {
    let options = op.records.cluster_options().await?;
    let limit = options
        .bandwidth(operation)
        .map(|limit| limit.ceil() as u64);
    let is_free = match asked_kib {
        Some(_) => op.has("/", Privilege::SysModify).await?,
        None => false,
    };
    let limits = [asked_kib, limit.filter(|_| !is_free)];
    let limit_kib = limits
        .into_iter()
        .flatten()
        .filter(|limit| *limit > 0)
        .min();
    Ok(limit_kib.unwrap_or(0).saturating_mul(1024))
}

/// A size as `resize` takes it: `8G`, or `+1G` for so much more.
pub(super) fn new_size(text: &str) -> Result<NewSize, Error> {
    let bytes = |text: &str| -> Result<ByteSize, Error> {
        text.parse()
            .map_err(|error: model::SizeError| Error::invalid("size", error.to_string()))
    };
    Ok(match text.strip_prefix('+') {
        Some(more) => NewSize::LargerBy(bytes(more)?),
        None => NewSize::Exactly(bytes(text)?),
    })
}
