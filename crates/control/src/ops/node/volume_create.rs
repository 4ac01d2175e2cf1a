//! `POST /nodes/{node}/storage/{storage}/content`

use std::time::Duration;

use model::{BlockFormat, Error, StorageId, VmId, VolumeId};
use node::tasks::VolumeCreate;
use proto::wire::Answer;
use serde::Deserialize;
use storage::{Storage, StorageError, StorageSpec};

use super::storage_volumes::ended_well;
use crate::ops::Op;

/// How long a caller waits for other creations of volumes for the same guest.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Create {
    storage: StorageId,
    filename: String,
    size: String,
    vmid: VmId,
    format: Option<BlockFormat>,
}

/// Answers the volume's id once the image is there.
pub(super) async fn volume_create(op: Op) -> Result<Answer, Error> {
    let wanted: Create = op.params()?;
    let bytes = bytes(&wanted.size)?;
    let storage = op.context.node.storage(&wanted.storage).await?;
    let _turn;
    let (name, format) = match wanted.filename.as_str() {
        "" => {
            // Two callers that let the name be chosen get different names.
            let names = format!("new-volumes/{}", wanted.vmid);
            _turn = op.context.tasks.hold(&names, "", PATIENCE).await?;
            next_free(&*storage, &wanted).await?
        }
        _ => image_name(&storage.config().spec, &wanted)?,
    };
    let volume = VolumeId::new(wanted.storage.clone(), name)
        .map_err(|error| Error::invalid("filename", error.to_string()))?;
    let task = VolumeCreate::new(volume.clone(), wanted.vmid, format, bytes);
    let id = format!("{}@{}", wanted.vmid, wanted.storage);
    let upid = op.context.submit_unlisted(&op, id, task).await?;
    ended_well(&op.context.tasks.wait(&upid).await?)?;
    Ok(Answer::new(volume.to_string()))
}

/// A free name, for a caller that gave none.
async fn next_free(storage: &dyn Storage, wanted: &Create) -> Result<(String, BlockFormat), Error> {
    storage.activate().await?;
    let format = wanted.format.unwrap_or(BlockFormat::Raw);
    let name = storage.choose_image_name(wanted.vmid, format, &[]).await?;
    Ok((name, format))
}

/// The name that the caller wants, and the format that it says.
fn image_name(spec: &StorageSpec, wanted: &Create) -> Result<(String, BlockFormat), Error> {
    let (Create { filename, vmid, .. }, kind) = (wanted, spec.kind());
    if !filename.starts_with(&format!("vm-{vmid}-")) {
        let text = format!("illegal name '{filename}' - should be 'vm-{vmid}-*'");
        return Err(Error::conflict(text));
    }
    let name = kind.image_named(*vmid, filename);
    let said = kind.parse(&name).and_then(|said| said.image_format);
    let Some(format) = said else {
        let text = format!("unable to parse volume filename '{filename}'");
        return Err(Error::conflict(text));
    };
    match wanted.format {
        Some(other) if !spec.formats().contains(&other) => {
            Err(StorageError::BadFormat(other).into())
        }
        Some(other) if other != format => {
            let (other, format) = (other.as_str(), format.as_str());
            let reason = format!("different storage formats ({other} != {format})");
            Err(Error::invalid("format", reason))
        }
        _ => Ok((name, format)),
    }
}

/// A number of KiB, or of the unit that its letter names.
fn bytes(size: &str) -> Result<u64, Error> {
    let (number, shift) = match size.strip_suffix(['M', 'G']) {
        Some(number) => (number, if size.ends_with('G') { 30 } else { 20 }),
        None => (size, 10),
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    // An image's length is a signed 64-bit number.
    let bytes = bytes.filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| Error::invalid("size", format!("unable to parse size '{size}'")))
}

#[cfg(test)]
mod tests {
    use storage::{DirSpec, LvmSpec, LvmThinSpec};

    use super::*;

    #[test]
    fn sizes_are_kib_unless_a_letter_says_otherwise() {
        for (text, expected) in [("4G", 4 << 30), ("32M", 32 << 20), ("1024", 1 << 20)] {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for bad in ["0", "0G", "99999999999G", "18446744073709551616"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    fn wanted(filename: &str, format: Option<BlockFormat>) -> Create {
        Create {
            storage: "local".parse().unwrap(),
            filename: filename.to_owned(),
            size: "1G".to_owned(),
            vmid: "100".parse().unwrap(),
            format,
        }
    }

    #[test]
    fn an_image_is_named_after_its_guest() {
        let good = wanted("vm-100-disk-1.qcow2", None);
        let dir = &StorageSpec::Dir(DirSpec::default());
        assert_eq!(image_name(dir, &good).unwrap().1, BlockFormat::Qcow2);
        let bad = [
            (wanted("vm-101-disk-1.raw", None), "illegal name"),
            (
                wanted("vm-100-disk-1", None),
                "unable to parse volume filename",
            ),
            (
                wanted("vm-100-disk-1.iso", None),
                "unable to parse volume filename",
            ),
            (
                wanted("vm-100-a.raw", Some(BlockFormat::Qcow2)),
                "different storage formats",
            ),
        ];
        for (wanted, text) in bad {
            let error = image_name(dir, &wanted).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let thin = &StorageSpec::LvmThin(LvmThinSpec::default());
        let plain = image_name(thin, &wanted("vm-100-disk-1", None)).unwrap();
        assert_eq!(plain, ("vm-100-disk-1".to_owned(), BlockFormat::Raw));
        let qcow2 = wanted("vm-100-disk-1", Some(BlockFormat::Qcow2));
        let error = image_name(thin, &qcow2).unwrap_err();
        assert_eq!(error.message, "unsupported format 'qcow2'");
        let layers = &StorageSpec::Lvm(LvmSpec {
            snapshot_as_volume_chain: Some(true),
            ..LvmSpec::default()
        });
        let other = wanted("vm-100-disk-1", Some(BlockFormat::Qcow2));
        let error = image_name(layers, &other).unwrap_err().to_string();
        assert!(error.contains("different storage formats"), "{error}");
        let good = wanted("vm-100-disk-1.qcow2", None);
        assert_eq!(image_name(layers, &good).unwrap().1, BlockFormat::Qcow2);
    }
}
