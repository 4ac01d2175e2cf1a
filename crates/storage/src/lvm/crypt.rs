//! Encrypted volumes: LUKS2 in a volume, opened by the kernel (dm-crypt).
//!
//! ```text
//!   /dev/vg/vm-100-disk-0 ──4 MiB of header──► /dev/mapper/vg-vm--100--disk--0-crypt ──► guest
//! ```
//!
//! Snapshots and clones have the header of their origin, and so its key. All volumes of a storage are
//! opened by the storage's key.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sys::{Command, Output, SharedHost, SysError};

/// What is before the data: one extent of LVM's, so that volumes are as large as they were asked for.
pub(super) const HEADER: u64 = 4 << 20;

const SECTOR: u64 = 512;

/// The key is 256 random bits: nothing is won by making its derivation slow.
const ITERATIONS: &str = "1000";

const CHANGE: Duration = Duration::from_secs(60);

/// How `cryptsetup` ends (cryptsetup(8)): the parameters are wrong, or there is no LUKS.
const WRONG: i32 = 1;
/// No key slot has this key.
const NO_KEY: i32 = 2;
/// There is no such device or mapping.
const NO_DEVICE: i32 = 4;
/// The mapping exists, or is in use.
const BUSY: i32 = 5;

/// What it says of a volume that is in the clear.
const NO_LUKS: &str = "not a valid LUKS";

/// The key of a storage, and the program that uses it.
pub(crate) struct Crypt {
    host: SharedHost,
    /// In hexadecimal digits, which are the passphrase; none if it is lost.
    key: Option<String>,
    /// The program was seen. It is asked for before each use of the storage.
    is_installed: AtomicBool,
}

/// Why a volume cannot be opened or closed.
pub(super) enum CryptError {
    /// It was not made with the key of the storage.
    Foreign,
    InUse,
    NoKey,
    Host(SysError),
}

impl From<SysError> for CryptError {
    fn from(error: SysError) -> Self {
        Self::Host(error)
    }
}

/// What the kernel calls a volume's plain side. LVM's filter leaves it out as it does the volume.
fn mapping(group: &str, name: &str) -> String {
    format!("{}-crypt", super::group::mapping(group, name))
}

impl Crypt {
    pub(crate) fn new(host: SharedHost, key: Option<String>) -> Self {
        let is_installed = AtomicBool::new(false);
        Self {
            host,
            key,
            is_installed,
        }
    }

    pub(super) fn path(group: &str, name: &str) -> PathBuf {
        Path::new("/dev/mapper").join(mapping(group, name))
    }

    async fn run(&self, args: &[&str]) -> Result<Output, CryptError> {
        self.run_with(args, String::new()).await
    }

    async fn run_with_key(&self, args: &[&str]) -> Result<Output, CryptError> {
        let key = self.key.clone().ok_or(CryptError::NoKey)?;
        self.run_with(args, key).await
    }

    async fn run_with(&self, args: &[&str], input: String) -> Result<Output, CryptError> {
        let command = Command::new("cryptsetup")
            .args(args.iter().copied())
            .input(input)
            .timeout(Some(CHANGE));
        Ok(self.host.run(command).await?)
    }

    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether the program is there.
    pub(super) async fn is_installed(&self) -> bool {
        if self.is_installed.load(Ordering::Relaxed) {
            return true;
        }
        let ask = Command::new("cryptsetup").arg("--version");
        let asked = self.host.run(ask).await;
        let is_there = asked.is_ok_and(|output| output.success());
        self.is_installed.store(is_there, Ordering::Relaxed);
        is_there
    }

    /// Writes the header of a new volume, which is active.
    pub(super) async fn format(&self, device: &Path) -> Result<(), CryptError> {
        let how = [
            "luksFormat",
            "--batch-mode",
            "--type",
            "luks2",
            "--key-file",
            "-",
        ];
        let cipher = ["--cipher", "aes-xts-plain64", "--key-size", "512"];
        // Guests' programs align to 512 bytes.
        let offset = (HEADER / SECTOR).to_string();
        let layout = ["--offset", &offset, "--sector-size", "512"];
        let key = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", ITERATIONS];
        let device = device.display().to_string();
        let args = [&how[..], &cipher, &layout, &key, &[&device]].concat();
        self.run_with_key(&args).await?.checked("cryptsetup")?;
        Ok(())
    }

    /// Opens a volume that is active, and returns its plain side. May be repeated.
    pub(super) async fn open(
        &self,
        (group, name): (&str, &str),
        device: &Path,
    ) -> Result<PathBuf, CryptError> {
        let plain = Self::path(group, name);
        if self.host.resolve(&plain).await.is_ok() {
            return Ok(plain);
        }
        let how = ["open", "--type", "luks2", "--key-file", "-"];
        // Without the kernel's keyring it grows without the key.
        let rights = ["--allow-discards", "--disable-keyring"];
        let read_only = match self.is_read_only(device).await {
            true => &["--readonly"][..],
            false => &[],
        };
        let (device, mapping) = (device.display().to_string(), mapping(group, name));
        let what = [device.as_str(), &mapping];
        let output = self
            .run_with_key(&[&how[..], &rights, read_only, &what].concat())
            .await?;
        match output.code {
            Some(NO_KEY) => Err(CryptError::Foreign),
            Some(WRONG) if output.complaint().contains(NO_LUKS) => Err(CryptError::Foreign),
            // Another call was faster.
            Some(BUSY) if self.host.resolve(&plain).await.is_ok() => Ok(plain),
            _ => {
                output.checked("cryptsetup")?;
                Ok(plain)
            }
        }
    }

    /// Whether the volume itself can only be read.
    async fn is_read_only(&self, device: &Path) -> bool {
        let Ok(resolved) = self.host.resolve(device).await else {
            return false;
        };
        let file = resolved.file_name().unwrap_or_default().to_string_lossy();
        let setting = PathBuf::from(format!("/sys/class/block/{file}/ro"));
        let read = self.host.read(&setting).await;
        read.is_ok_and(|text| text.starts_with(b"1"))
    }

    /// Closes a volume. One that is not open is no error.
    pub(super) async fn close(&self, group: &str, name: &str) -> Result<(), CryptError> {
        if self.host.resolve(&Self::path(group, name)).await.is_err() {
            return Ok(());
        }
        let output = self.run(&["close", &mapping(group, name)]).await?;
        match output.code {
            Some(NO_DEVICE) => Ok(()),
            Some(BUSY) => Err(CryptError::InUse),
            _ => {
                output.checked("cryptsetup")?;
                Ok(())
            }
        }
    }

    /// Lets an open volume be as large as it has become.
    pub(super) async fn grow(&self, group: &str, name: &str) -> Result<(), CryptError> {
        if self.host.resolve(&Self::path(group, name)).await.is_err() {
            return Ok(());
        }
        let output = self.run(&["resize", &mapping(group, name)]).await?;
        output.checked("cryptsetup")?;
        Ok(())
    }
}
