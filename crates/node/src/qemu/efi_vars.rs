//! What a guest's UEFI variables begin as, and where they are while a guest has no volume for them.

use model::qemu::{EfiDisk, EfiType};
use model::{BlockFormat, BlockSource, BlockSpec, Error, VmId, VolumeId};

use crate::NodeContext;
use crate::volumes::info_of;

/// The file that the package of the firmware has for such a disk.
pub(crate) fn template_of(disk: &EfiDisk) -> &'static str {
    match (disk.efi_type(), disk.has_enrolled_keys()) {
        (EfiType::FourMiB, true) => "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
        (EfiType::FourMiB, false) => PLAIN,
        (EfiType::TwoMiB, true) => "/usr/share/OVMF/OVMF_VARS.ms.fd",
        (EfiType::TwoMiB, false) => "/usr/share/OVMF/OVMF_VARS.fd",
    }
}

/// What fits the firmware of a guest without such a disk.
const PLAIN: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// How much of a volume is variables; none for all of it. The firmware finds them by where they
/// end, and a storage may have made the volume larger.
pub(crate) async fn length(
    node: &NodeContext,
    disk: &EfiDisk,
    volume: &VolumeId,
) -> Result<Option<u64>, Error> {
    let storage = node.storage(volume.storage()).await?;
    let has = info_of(&*storage, volume).await?.size;
    let template = node.host.stat(template_of(disk).as_ref()).await?;
    Ok(template
        .map(|template| template.size)
        .filter(|needs| *needs < has))
}

/// Variables that are gone when the guest ends.
pub(crate) fn temporary(node: &NodeContext, vmid: VmId) -> BlockSpec {
    let path = node.paths.temporary_variables(vmid);
    let source = BlockSource::File(path.display().to_string());
    BlockSpec {
        can_discard: false,
        ..BlockSpec::new(source, BlockFormat::Raw)
    }
}

/// Makes them anew.
pub(crate) async fn make_temporary(node: &NodeContext, vmid: VmId) -> Result<(), Error> {
    if node.host.stat(PLAIN.as_ref()).await?.is_none() {
        let text = format!("{PLAIN} is missing: the package ovmf has it");
        return Err(Error::unavailable(text));
    }
    let content = node.host.read(PLAIN.as_ref()).await?;
    let path = node.paths.temporary_variables(vmid);
    Ok(node.host.write(&path, &content, 0o600).await?)
}
