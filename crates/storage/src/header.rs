//! What an image says of itself, read by ourselves from a descriptor: no program opens what the
//! image names before we know that it names nothing.
//!
//! Layouts: qcow2 by `docs/interop/qcow2.txt` of QEMU, VMDK by VMware's "Virtual Disk Format 5.0".

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use model::BlockFormat;
use sys::{SharedHost, SysError};

/// What an image's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageHeader {
    /// What a guest sees, in bytes.
    pub virtual_size: u64,
    /// The image that it is a layer on, as it stands in the header.
    pub backing: Option<String>,
    /// Whether its data is in other files. A forged header may name any file of the host.
    pub has_data_elsewhere: bool,
}

impl ImageHeader {
    /// Whether everything that it shows is in this one file.
    pub fn is_whole(&self) -> bool {
        self.backing.is_none() && !self.has_data_elsewhere
    }

    pub(crate) fn plain(virtual_size: u64) -> Self {
        Self {
            virtual_size,
            backing: None,
            has_data_elsewhere: false,
        }
    }
}

/// Reads an image's header. The image may be in use.
pub async fn inspect(
    host: &SharedHost,
    path: &Path,
    format: BlockFormat,
) -> Result<ImageHeader, SysError> {
    let file = host.open_image(path, false, false).await?;
    header_of(host, &file, path, format).await
}

/// Reads the header of an image that is open; `path` names it in errors.
pub async fn header_of(
    host: &SharedHost,
    file: &Arc<OwnedFd>,
    path: &Path,
    format: BlockFormat,
) -> Result<ImageHeader, SysError> {
    let image = Image { host, file, path };
    match format {
        BlockFormat::Raw => Ok(ImageHeader::plain(image.bytes().await?)),
        BlockFormat::Qcow2 => image.qcow2().await,
        BlockFormat::Vmdk => image.vmdk().await,
    }
}

/// The snapshots inside of a qcow2 image that is open, in the order of its table. The image may be
/// in use.
pub(crate) async fn snapshots_of(
    host: &SharedHost,
    file: &Arc<OwnedFd>,
    path: &Path,
) -> Result<Vec<String>, SysError> {
    Image { host, file, path }.qcow2_snapshots().await
}

/// The beginning of a qcow2 header, version 2; version 3 has features after it.
const QCOW2_BYTES: usize = 72;
const QCOW2_MAGIC: &[u8] = b"QFI\xfb";
/// A name of another image is no longer than this.
const BACKING_BYTES_MAX: u32 = 1023;
/// The feature that says that data is in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// QEMU makes no table of more or larger ones.
const SNAPSHOTS_MAX: u64 = 65_536;
const SNAPSHOT_TABLE_BYTES_MAX: u64 = 64 << 20;
/// The fixed part of a snapshot's row.
const SNAPSHOT_BYTES: usize = 40;
/// As much of the table as is read at once.
const SNAPSHOTS_READ_BYTES: usize = 64 << 10;

const SECTOR: u64 = 512;
const VMDK_BYTES: usize = 512;
const VMDK_MAGIC: &[u8] = b"KDMV";
const VMDK_OLD_MAGIC: &[u8] = b"COWD";
const VMDK_TEXT: &[u8] = b"# Disk DescriptorFile";
/// Where QEMU looks for the text inside of an image, and how far.
const VMDK_TEXT_AT: u64 = SECTOR;
const VMDK_TEXT_BYTES: usize = 20 * 512;
/// The text of an image that is nothing else.
const VMDK_TEXT_BYTES_MAX: usize = 64 << 10;

struct Image<'a> {
    host: &'a SharedHost,
    file: &'a Arc<OwnedFd>,
    path: &'a Path,
}

impl Image<'_> {
    async fn bytes(&self) -> Result<u64, SysError> {
        Ok(self.host.measure(self.file, self.path).await?.bytes)
    }

    /// Up to so many bytes from there on.
    async fn at(&self, offset: u64, length: usize) -> Result<Vec<u8>, SysError> {
        self.host
            .read_at(self.file, self.path, offset, length)
            .await
    }

    fn wrong(&self, text: impl Into<String>) -> SysError {
        let why = io::Error::new(io::ErrorKind::InvalidData, text.into());
        SysError::io("read the header of", self.path, why)
    }

    fn sectors(&self, count: u64) -> Result<u64, SysError> {
        let too_large = || self.wrong("its size makes no sense");
        count.checked_mul(SECTOR).ok_or_else(too_large)
    }

    async fn qcow2_head(&self) -> Result<Vec<u8>, SysError> {
        let head = self.at(0, QCOW2_BYTES + 8).await?;
        if head.len() < QCOW2_BYTES || !head.starts_with(QCOW2_MAGIC) {
            return Err(self.wrong("it is no qcow2 image"));
        }
        Ok(head)
    }

    async fn qcow2(&self) -> Result<ImageHeader, SysError> {
        let head = self.qcow2_head().await?;
        let word = |at: usize| big::<4>(&head, at) as u32;
        let long = |at: usize| big::<8>(&head, at);
        let features = match word(4) {
            2 => 0,
            3 => long(72),
            version => return Err(self.wrong(format!("qcow2 has no version {version}"))),
        };
        let (named_at, named_bytes) = (long(8), word(16));
        let backing = match (named_at, named_bytes) {
            (0, _) | (_, 0) => None,
            (_, bytes) if bytes > BACKING_BYTES_MAX => {
                return Err(self.wrong("the name of its base is too long"));
            }
            (at, bytes) => {
                let name = self.at(at, bytes as usize).await?;
                Some(String::from_utf8_lossy(&name).into_owned())
            }
        };
        Ok(ImageHeader {
            virtual_size: long(24),
            backing,
            has_data_elsewhere: features & EXTERNAL_DATA != 0,
        })
    }

    /// A row of the table is its fixed part, extra data, an id and a name, and begins at a multiple
    /// of eight bytes.
    async fn qcow2_snapshots(&self) -> Result<Vec<String>, SysError> {
        let head = self.qcow2_head().await?;
        let (count, table) = (big::<4>(&head, 60), big::<8>(&head, 64));
        if count > SNAPSHOTS_MAX {
            return Err(self.wrong("it has too many snapshots"));
        }
        let mut names = Vec::new();
        let (mut window, mut window_at, mut row_at) = (Vec::new(), 0, 0_u64);
        for _ in 0..count {
            let mut row = rest(&window, row_at - window_at);
            if row_bytes(row).is_none_or(|bytes| bytes > row.len()) {
                let from = table.saturating_add(row_at);
                window = self.at(from, SNAPSHOTS_READ_BYTES).await?;
                window_at = row_at;
                row = &window;
            }
            let bytes = row_bytes(row).filter(|bytes| *bytes <= row.len());
            let Some(bytes) = bytes else {
                return Err(self.wrong("its table of snapshots is cut off"));
            };
            let name = &row[bytes - big::<2>(row, 14) as usize..bytes];
            names.push(String::from_utf8_lossy(name).into_owned());
            row_at += (bytes as u64).next_multiple_of(8);
            if row_at > SNAPSHOT_TABLE_BYTES_MAX {
                return Err(self.wrong("its table of snapshots is too large"));
            }
        }
        Ok(names)
    }

    async fn vmdk(&self) -> Result<ImageHeader, SysError> {
        let head = self.at(0, VMDK_BYTES).await?;
        if head.starts_with(VMDK_TEXT) {
            return self.vmdk_text().await;
        }
        if head.starts_with(VMDK_OLD_MAGIC) && head.len() == VMDK_BYTES {
            return Ok(ImageHeader::plain(self.sectors(little::<4>(&head, 12))?));
        }
        if !head.starts_with(VMDK_MAGIC) || head.len() < VMDK_BYTES {
            return Err(self.wrong("it is no vmdk image"));
        }
        let length = self.bytes().await?;
        let (mut capacity, text_at) = (little::<8>(&head, 12), little::<8>(&head, 28));
        if capacity == 0 {
            // Then the text inside says where the data is.
            return Ok(ImageHeader {
                has_data_elsewhere: true,
                ..ImageHeader::plain(0)
            });
        }
        if little::<8>(&head, 56) == u64::MAX {
            // A stream's header is repeated at its end, and that one counts.
            let end = length.saturating_sub(2 * SECTOR);
            let again = self.at(end, VMDK_BYTES).await?;
            if !again.starts_with(VMDK_MAGIC) || again.len() < VMDK_BYTES {
                return Err(self.wrong("the vmdk image has no end"));
            }
            capacity = little::<8>(&again, 12);
        }
        let mut backing = None;
        for at in [VMDK_TEXT_AT, text_at.saturating_mul(SECTOR)] {
            if at < length {
                backing = backing.or(parent_in(&self.at(at, VMDK_TEXT_BYTES).await?));
            }
        }
        Ok(ImageHeader {
            virtual_size: self.sectors(capacity)?,
            backing,
            has_data_elsewhere: false,
        })
    }

    /// A text that names the files with the data: `RW 4192256 SPARSE "disk-s001.vmdk"`.
    async fn vmdk_text(&self) -> Result<ImageHeader, SysError> {
        let text = self.at(0, VMDK_TEXT_BYTES_MAX).await?;
        let lines = String::from_utf8_lossy(&text).into_owned();
        let extents = lines.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let access = words.next()?;
            let size = words.next()?.parse::<u64>().ok()?;
            ["RW", "RDONLY", "NOACCESS"]
                .contains(&access)
                .then_some(size)
        });
        let all = extents.fold(0_u64, u64::saturating_add);
        Ok(ImageHeader {
            virtual_size: self.sectors(all)?,
            backing: parent_in(&text),
            has_data_elsewhere: true,
        })
    }
}

/// The image that a VMDK's text names as its parent.
fn parent_in(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("parentFileNameHint")?;
    let name = rest.split('"').nth(1).unwrap_or_default();
    Some(name.to_owned())
}

/// How long the first snapshot's row is, without what fills it up.
fn row_bytes(rows: &[u8]) -> Option<usize> {
    let variable = big::<4>(rows, 36) + big::<2>(rows, 12) + big::<2>(rows, 14);
    (rows.len() >= SNAPSHOT_BYTES).then_some(SNAPSHOT_BYTES + variable as usize)
}

fn rest(bytes: &[u8], from: u64) -> &[u8] {
    bytes.get(from as usize..).unwrap_or_default()
}

fn big<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + N).unwrap_or_default();
    field
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn little<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + N).unwrap_or_default();
    field
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use testkit::{FakeHost, Faults};

    use super::*;

    async fn read(content: &[u8], format: BlockFormat) -> Result<ImageHeader, String> {
        let host: SharedHost = Arc::new(FakeHost::new(Faults::default()));
        let path = Path::new("/x");
        host.write(path, content, 0o600).await.unwrap();
        let read = inspect(&host, path, format).await;
        read.map_err(|error| model::Error::chain(&error))
    }

    fn qcow2(version: u32, features: u64, backing: &[u8]) -> Vec<u8> {
        let mut head = b"QFI\xfb".to_vec();
        head.extend(version.to_be_bytes());
        let at: u64 = if backing.is_empty() { 0 } else { 80 };
        head.extend(at.to_be_bytes());
        head.extend((backing.len() as u32).to_be_bytes());
        head.extend(16_u32.to_be_bytes());
        head.extend((3_u64 << 20).to_be_bytes());
        head.resize(72, 0);
        head.extend(features.to_be_bytes());
        head.extend(backing);
        head
    }

    #[tokio::test]
    async fn a_qcow2_header_names_its_base_and_its_data() {
        let plain = read(&qcow2(3, 0, b""), BlockFormat::Qcow2).await.unwrap();
        assert_eq!(plain, ImageHeader::plain(3 << 20));
        let layer = read(&qcow2(2, 0, b"/etc/shadow"), BlockFormat::Qcow2)
            .await
            .unwrap();
        assert_eq!(layer.backing.as_deref(), Some("/etc/shadow"));
        assert!(!layer.is_whole());
        let outside = read(&qcow2(3, 1 << 2, b""), BlockFormat::Qcow2)
            .await
            .unwrap();
        assert!(outside.has_data_elsewhere && !outside.is_whole());
        // Version 2 has no features; what lies there is something else.
        assert!(
            read(&qcow2(2, 1 << 2, b""), BlockFormat::Qcow2)
                .await
                .unwrap()
                .is_whole()
        );
    }

    /// A row of a table of snapshots.
    fn snapshot(name: &str, extra: usize) -> Vec<u8> {
        let mut row = vec![0; 12];
        row.extend(1_u16.to_be_bytes());
        row.extend((name.len() as u16).to_be_bytes());
        row.resize(36, 0);
        row.extend((extra as u32).to_be_bytes());
        row.resize(40 + extra, 7);
        row.extend(b"1");
        row.extend(name.as_bytes());
        row.resize(row.len().next_multiple_of(8), 0);
        row
    }

    async fn names(count: u32, rows: &[u8]) -> Result<Vec<String>, String> {
        let host: SharedHost = Arc::new(FakeHost::new(Faults::default()));
        let path = Path::new("/x");
        let mut content = qcow2(3, 0, b"");
        content[60..64].copy_from_slice(&count.to_be_bytes());
        content[64..72].copy_from_slice(&512_u64.to_be_bytes());
        content.resize(512, 0);
        content.extend(rows);
        host.write(path, &content, 0o600).await.unwrap();
        let file = host.open_image(path, false, false).await.unwrap();
        let read = snapshots_of(&host, &file, path).await;
        read.map_err(|error| model::Error::chain(&error))
    }

    #[tokio::test]
    async fn a_table_of_snapshots_is_read_whole() {
        assert_eq!(names(0, b"").await.unwrap(), [""; 0]);
        // More than one read takes, so that a row lies across two.
        let many: Vec<String> = (0..2_000).map(|i| format!("before-{i}")).collect();
        let rows: Vec<u8> = many.iter().flat_map(|name| snapshot(name, 24)).collect();
        assert!(rows.len() > 2 * SNAPSHOTS_READ_BYTES);
        assert_eq!(names(2_000, &rows).await.unwrap(), many);
        let mixed = [snapshot("old", 0), snapshot("new x", 24)].concat();
        assert_eq!(names(2, &mixed).await.unwrap(), ["old", "new x"]);
    }

    #[tokio::test]
    async fn a_forged_table_of_snapshots_is_refused() {
        let row = snapshot("one", 16);
        for (count, rows, why) in [
            (u32::MAX, &row[..], "too many"),
            (2, &row, "cut off"),
            (1, &row[..50], "cut off"),
            (1, b"", "cut off"),
        ] {
            let error = names(count, rows).await.unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let mut endless = row.clone();
        endless[36..40].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(names(1, &endless).await.unwrap_err().contains("cut off"));
    }

    #[tokio::test]
    async fn what_is_no_image_is_refused() {
        for content in [&b""[..], b"QFI\xfb", b"x", &[0; 4096]] {
            for format in [BlockFormat::Qcow2, BlockFormat::Vmdk] {
                let error = read(content, format).await.unwrap_err();
                assert!(error.contains("it is no"), "{error}");
            }
        }
        let error = read(&qcow2(9, 0, b""), BlockFormat::Qcow2)
            .await
            .unwrap_err();
        assert!(error.contains("version 9"), "{error}");
        let mut long = qcow2(3, 0, b"x");
        long[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(
            read(&long, BlockFormat::Qcow2)
                .await
                .unwrap_err()
                .contains("too long")
        );
        assert_eq!(
            read(b"anything", BlockFormat::Raw).await.unwrap(),
            ImageHeader::plain(8)
        );
    }

    fn vmdk(capacity: u64, at_end: bool, text: &str) -> Vec<u8> {
        let mut head = b"KDMV\x01\0\0\0\0\0\0\0".to_vec();
        head.extend(capacity.to_le_bytes());
        head.resize(28, 0);
        head.extend(1_u64.to_le_bytes());
        head.resize(56, 0);
        head.extend((if at_end { u64::MAX } else { 64 }).to_le_bytes());
        head.resize(512, 0);
        head.extend(text.as_bytes());
        head.resize(64 << 10, 0);
        head
    }

    #[tokio::test]
    async fn a_vmdk_is_one_file_or_names_others() {
        let own = "# Disk DescriptorFile\nRW 2048 SPARSE \"any.vmdk\"\n";
        let whole = read(&vmdk(2048, false, own), BlockFormat::Vmdk)
            .await
            .unwrap();
        assert_eq!(whole, ImageHeader::plain(1 << 20));
        let extents = read(&vmdk(0, false, own), BlockFormat::Vmdk).await.unwrap();
        assert!(extents.has_data_elsewhere);
        let child = "parentFileNameHint=\"/etc/shadow\"\n";
        let child = read(&vmdk(2048, false, child), BlockFormat::Vmdk)
            .await
            .unwrap();
        assert_eq!(child.backing.as_deref(), Some("/etc/shadow"));
        let text = "# Disk DescriptorFile\nRW 2048 FLAT \"/etc/shadow\" 0\nRW 2048 ZERO\n";
        let text = read(text.as_bytes(), BlockFormat::Vmdk).await.unwrap();
        assert!(text.has_data_elsewhere && text.virtual_size == 2 << 20);
    }

    #[tokio::test]
    async fn of_a_streams_two_headers_the_last_one_counts() {
        let mut stream = vmdk(2048, true, "");
        let error = read(&stream, BlockFormat::Vmdk).await.unwrap_err();
        assert!(error.contains("has no end"), "{error}");
        stream.extend(&vmdk(4096, true, "")[..512]);
        stream.extend([0; 512]);
        let header = read(&stream, BlockFormat::Vmdk).await.unwrap();
        assert_eq!(header.virtual_size, 2 << 20);
        let endless = vmdk(u64::MAX, false, "");
        assert!(
            read(&endless, BlockFormat::Vmdk)
                .await
                .unwrap_err()
                .contains("no sense")
        );
    }
}
