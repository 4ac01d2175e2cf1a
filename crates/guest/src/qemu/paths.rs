//! The paths of a guest's sockets and of the firmware.

/// All paths on a command line except those of volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimePaths {
    /// The guest's own directory for sockets, absolute; it exists before QEMU starts. A socket's
    /// path is limited to 107 bytes, so this one to 90.
    pub directory: String,
    /// The folder of OVMF's images, absolute.
    pub firmware: String,
}

impl RuntimePaths {
    /// The folder of Debian's `ovmf` package.
    pub const OVMF: &'static str = "/usr/share/OVMF";

    /// Where administrators put the ROMs of passed devices.
    pub const ROMS: &'static str = "/usr/share/kvm";

    pub fn new(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            firmware: Self::OVMF.to_owned(),
        }
    }

    pub fn control(&self) -> String {
        self.socket("qmp")
    }

    pub fn vnc(&self) -> String {
        self.socket("vnc")
    }

    pub fn agent(&self) -> String {
        self.socket("agent")
    }

    /// The socket of the TPM emulator.
    pub fn tpm(&self) -> String {
        self.socket("swtpm")
    }

    pub fn serial(&self, port: u8) -> String {
        self.socket(&format!("serial{port}"))
    }

    /// The socket of the program that serves a folder.
    pub fn share(&self, index: u8) -> String {
        self.socket(&format!("virtiofs{index}"))
    }

    fn socket(&self, name: &str) -> String {
        format!("{}/{name}.sock", self.directory)
    }
}
