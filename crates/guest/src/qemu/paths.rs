//! Where a guest's sockets and the firmware's files are.

/// Everything on the host's file system that a command line names besides volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimePaths {
    /// The guest's own directory for sockets, absolute; it exists before QEMU starts. A socket's
    /// path may be 107 bytes long, so this may be 90.
    pub directory: String,
    /// Where OVMF's images are, absolute.
    pub firmware: String,
}

impl RuntimePaths {
    /// Where Debian's `ovmf` package puts its images.
    pub const OVMF: &'static str = "/usr/share/OVMF";

    pub fn new(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            firmware: Self::OVMF.to_owned(),
        }
    }

    pub fn control(&self) -> String {
        self.socket("qmp")
    }

    pub fn events(&self) -> String {
        self.socket("events")
    }

    pub fn vnc(&self) -> String {
        self.socket("vnc")
    }

    pub fn agent(&self) -> String {
        self.socket("agent")
    }

    /// Where the program that plays a security module listens.
    pub fn tpm(&self) -> String {
        self.socket("swtpm")
    }

    pub fn serial(&self, port: u8) -> String {
        self.socket(&format!("serial{port}"))
    }

    fn socket(&self, name: &str) -> String {
        format!("{}/{name}.sock", self.directory)
    }
}
