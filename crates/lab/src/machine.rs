//! The machine of every node: one command line, the same for the golden node and all others, since
//! its memory could not be restored otherwise.

use std::path::{Path, PathBuf};

/// How many network cards a node has: `eth0` on the segment `lan`, the others on `wire`.
pub const CARDS: usize = 3;

/// The processor of the golden node, and of all others unless they are given another one.
const CPU: &str = "EPYC";

/// How many disks can be plugged into a board with an IOMMU.
const PLUGS: u32 = 8;

/// What of a machine can be exchanged while it is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hardware {
    /// As QEMU's `-cpu` takes it.
    pub(crate) cpu: String,
    pub(crate) board: Board,
}

/// The board of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Board {
    #[default]
    Usual,
    /// With PCI Express, an IOMMU, and a USB controller that nothing needs.
    WithIommu,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            cpu: CPU.to_owned(),
            board: Board::default(),
        }
    }
}

impl Board {
    /// The bus that a disk is plugged into, of those that are numbered so; none where QEMU finds one.
    pub(crate) fn plug(self, number: u32) -> Option<String> {
        match self {
            Self::Usual => None,
            Self::WithIommu => Some(format!("plug{}", number % PLUGS)),
        }
    }

    /// The first arguments: QEMU wants the IOMMU before the devices that it keeps apart.
    fn arguments(self) -> Vec<String> {
        let usual = |kind: &str| ["-M", kind].map(str::to_owned).to_vec();
        match self {
            Self::Usual => usual("pc"),
            Self::WithIommu => {
                let mut arguments = usual("q35");
                let mut add = |device: String| arguments.extend(["-device".to_owned(), device]);
                add("intel-iommu,intremap=on,caching-mode=on".to_owned());
                for plug in 0..PLUGS {
                    add(format!("pcie-root-port,id=plug{plug},chassis={}", plug + 1));
                }
                add("qemu-xhci,id=spare,addr=0x1e".to_owned());
                arguments
            }
        }
    }
}

/// How a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It boots.
    Cold,
    /// It waits for a saved memory.
    Restored,
}

/// The parts of nodes; see `lab/build.sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) modules: PathBuf,
}

/// The identity of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// 1 for the first; 0 is the golden node, which is on no network.
    pub(crate) number: u8,
    pub(crate) machine_id: String,
}

impl Identity {
    /// The address of `eth0`, with the length of its prefix; none for the golden node.
    pub(crate) fn address(&self) -> Option<String> {
        (self.number > 0).then(|| format!("10.77.0.{}/24", self.number))
    }

    pub(crate) fn mac(&self, card: usize) -> String {
        format!("52:54:00:77:{card:02x}:{:02x}", self.number)
    }
}

/// The paths of the sockets and logs of one node.
#[derive(Debug, Clone)]
pub(crate) struct Places(pub(crate) PathBuf);

impl Places {
    pub(crate) fn monitor(&self) -> PathBuf {
        self.0.join("monitor.sock")
    }

    pub(crate) fn agent(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.0.join("console.sock")
    }

    pub(crate) fn console_log(&self) -> PathBuf {
        self.0.join("console.log")
    }

    pub(crate) fn qemu_log(&self) -> PathBuf {
        self.0.join("qemu.log")
    }

    pub(crate) fn card(&self, card: usize) -> PathBuf {
        self.0.join(format!("eth{card}.sock"))
    }
}

/// A disk that is attached when the machine starts.
#[derive(Debug, Clone)]
pub(crate) struct Drive {
    pub(crate) serial: String,
    pub(crate) blockdev: String,
}

/// The whole command line.
pub(crate) fn argv(
    parts: &Parts,
    identity: &Identity,
    places: &Places,
    hardware: &Hardware,
    beginning: Beginning,
    drives: &[Drive],
) -> Vec<String> {
    let mut argv: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
    add(&["qemu-system-x86_64", "-name", &identity.name]);
    let board = hardware.board.arguments();
    add(&board.iter().map(String::as_str).collect::<Vec<_>>());
    add(&["-accel", "tcg,thread=multi", "-cpu", &hardware.cpu]);
    add(&["-m", "1024", "-smp", "1", "-nodefaults", "-no-user-config"]);
    add(&["-display", "none", "-kernel", &text(&parts.kernel)]);
    add(&["-initrd", &text(&parts.initrd)]);
    let mut words = append(identity);
    if hardware.board == Board::WithIommu {
        words += " intel_iommu=on";
    }
    add(&["-append", &words]);
    let monitor = text(&places.monitor());
    add(&[
        "-chardev",
        &format!("socket,id=monitor,path={monitor},server=off"),
    ]);
    add(&["-mon", "chardev=monitor,mode=control"]);
    add(&["-chardev", &console(places), "-serial", "chardev:console"]);
    add(&["-device", "virtio-rng-pci", "-device", "vmgenid,guid=auto"]);
    add(&["-device", "i6300esb", "-action", "watchdog=reset"]);
    add(&["-device", "virtio-serial-pci,id=ports"]);
    let agent = text(&places.agent());
    add(&[
        "-chardev",
        &format!("socket,id=agent,path={agent},server=on,wait=off"),
    ]);
    let port = format!(
        "virtserialport,bus=ports.0,chardev=agent,name={}",
        lab_agent::PORT
    );
    add(&["-device", &port]);
    for (name, part) in [("root", &parts.root), ("modules", &parts.modules)] {
        let file = text(part);
        add(&[
            "-blockdev",
            &format!("driver=file,node-name={name},filename={file},read-only=on,locking=off"),
        ]);
        add(&["-device", &format!("virtio-blk-pci,drive={name},id={name}")]);
    }
    let cards = cards(identity, places);
    add(&cards.iter().map(String::as_str).collect::<Vec<_>>());
    for drive in drives {
        let serial = &drive.serial;
        add(&["-blockdev", &drive.blockdev]);
        add(&[
            "-device",
            &format!("virtio-blk-pci,drive={serial},id={serial},serial={serial}"),
        ]);
    }
    if beginning == Beginning::Restored {
        add(&["-incoming", "defer"]);
    }
    argv
}

fn cards(identity: &Identity, places: &Places) -> Vec<String> {
    let one = |card: usize| {
        let socket = text(&places.card(card));
        let mac = identity.mac(card);
        let server = format!("stream,id=net{card},server=off,addr.type=unix,addr.path={socket}");
        let device = format!("virtio-net-pci,netdev=net{card},id=eth{card},mac={mac}");
        ["-netdev".to_owned(), server, "-device".to_owned(), device]
    };
    (0..CARDS).flat_map(one).collect()
}

fn append(identity: &Identity) -> String {
    // Without address randomization, translated code of a program is reused for the next process:
    // starting one is several times faster.
    let mut words = "console=ttyS0 quiet mitigations=off nokaslr norandmaps tsc=reliable \
                     no_timer_check net.ifnames=0 panic=-1 systemd.show_status=0"
        .to_owned();
    words += &format!(
        " lab.name={} lab.machine_id={}",
        identity.name, identity.machine_id
    );
    if let Some(address) = identity.address() {
        words += &format!(" lab.address={address}");
    }
    words
}

fn console(places: &Places) -> String {
    format!(
        "socket,id=console,path={},server=on,wait=off,logfile={},logappend=on",
        text(&places.console()),
        text(&places.console_log())
    )
}

/// A path, escaped for QEMU's option lists.
fn text(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_machine_and_the_others_differ_in_names_alone() {
        let parts = Parts {
            kernel: "/k".into(),
            initrd: "/i".into(),
            root: "/r".into(),
            modules: "/m".into(),
        };
        let line = |number: u8, beginning| {
            let identity = Identity {
                name: format!("n{number}"),
                number,
                machine_id: format!("{number:032x}"),
            };
            let places = Places(format!("/run/{number}").into());
            argv(
                &parts,
                &identity,
                &places,
                &Hardware::default(),
                beginning,
                &[],
            )
        };
        let devices = |argv: &[String]| -> Vec<String> {
            let of = |word: &String| word.split(",mac=").next().unwrap().to_owned();
            let at = argv.iter().enumerate();
            at.filter(|(_, word)| *word == "-device")
                .map(|(at, _)| of(&argv[at + 1]))
                .collect()
        };
        let golden = line(0, Beginning::Cold);
        let node = line(2, Beginning::Restored);
        assert_eq!(devices(&golden), devices(&node));
        assert_eq!(devices(&golden).len(), 10);
        assert!(node.ends_with(&["-incoming".to_owned(), "defer".to_owned()]));
        assert!(
            node.iter()
                .any(|word| word.ends_with("mac=52:54:00:77:02:02"))
        );
        assert!(!golden.iter().any(|word| word.contains("lab.address")));
    }
}
