//! Every view: what is printed reads back as the same value.

use proptest::prelude::*;

use super::*;
// Imported by name, since proptest has a `Rng` too.
use super::{Audio, HostPci, Rng, VirtioFs};
use crate::schema::{Alias, Format, check_object, parse_properties};

/// Parses, prints, parses and prints again: the two values and the two texts must be the same.
macro_rules! survives {
    ($view:ident, $text:expr) => {
        let first = $view::parse($text).unwrap();
        let text = first.print();
        prop_assert_eq!(&$view::parse(&text).unwrap(), &first);
        prop_assert_eq!(text, $view::parse(&first.print()).unwrap().print());
    };
}

fn flag(key: &'static str) -> impl Strategy<Value = String> {
    prop::sample::select(vec!["0", "1", "on", "no"]).prop_map(move |value| format!("{key}={value}"))
}

fn number(key: &'static str, range: std::ops::Range<u32>) -> impl Strategy<Value = String> {
    range.prop_map(move |value| format!("{key}={value}"))
}

fn word(key: &'static str, pattern: &'static str) -> impl Strategy<Value = String> {
    pattern.prop_map(move |value| format!("{key}={value}"))
}

/// `first`, followed by any of the others.
fn text(
    first: impl Strategy<Value = String>,
    others: Vec<BoxedStrategy<String>>,
) -> impl Strategy<Value = String> {
    let count = others.len();
    let all = prop::sample::subsequence(others, 0..=count);
    (first, all.prop_flat_map(|chosen| chosen))
        .prop_map(|(first, others)| [vec![first], others].concat().join(","))
}

fn drive_text() -> impl Strategy<Value = String> {
    let file = prop::sample::select(vec![
        "none",
        "cdrom",
        "local:8",
        "local:1/vm-1-disk-0.qcow2",
    ]);
    text(
        file.prop_map(str::to_owned),
        vec![
            word("cache", "none|unsafe|writeback|writethrough|directsync").boxed(),
            word("discard", "on|ignore").boxed(),
            flag("ssd").boxed(),
            flag("iothread").boxed(),
            flag("backup").boxed(),
            number("bps", 0..9_999).boxed(),
            word("mbps_rd", "[0-9]{1,3}(\\.[0-9]{1,2})?").boxed(),
            number("iops_max", 0..99).boxed(),
            number("bps_rd_length", 1..60).boxed(),
            word("size", "[1-9][0-9]{0,3}[KMGT]").boxed(),
            word("serial", "[A-Za-z0-9]{1,20}").boxed(),
            word("wwn", "0x[0-9a-f]{16}").boxed(),
        ],
    )
}

fn net_text() -> impl Strategy<Value = String> {
    let model = (
        "virtio|e1000|rtl8139",
        prop::option::of("0[02468ACE](:[0-9A-F]{2}){5}"),
    );
    let model = model.prop_map(|(model, mac)| match mac {
        Some(mac) => format!("{model}={mac}"),
        None => model,
    });
    text(
        model,
        vec![
            word("bridge", "vmbr[0-9]").boxed(),
            flag("firewall").boxed(),
            flag("link_down").boxed(),
            number("mtu", 1..65_521).boxed(),
            number("queues", 0..65).boxed(),
            number("tag", 1..4_095).boxed(),
            word("trunks", "[1-9];[1-9]-1[0-9]").boxed(),
            word("rate", "[0-9]{1,4}(\\.[0-9]{1,3})?").boxed(),
        ],
    )
}

fn cpu_text() -> impl Strategy<Value = String> {
    text(
        word("cputype", "kvm64|host|x86-64-v2-AES"),
        vec![
            word("flags", "[+-]aes(;[+-]pcid)?").boxed(),
            flag("hidden").boxed(),
            number("guest-phys-bits", 32..65).boxed(),
            word("phys-bits", "host|3[0-9]").boxed(),
            word("hv-vendor-id", "[a-z]{1,12}").boxed(),
        ],
    )
}

proptest! {
    #[test]
    fn drives_survive(drive in drive_text()) {
        let first = Drive::parse(DriveBus::Scsi, &drive).unwrap();
        prop_assert_eq!(&Drive::parse(DriveBus::Scsi, &first.print()).unwrap(), &first);
    }

    #[test]
    fn nets_survive(net in net_text()) { survives!(Net, &net); }

    #[test]
    fn processors_survive(cpu in cpu_text()) { survives!(Cpu, &cpu); }

    #[test]
    fn the_small_views_survive(
        boot in "order=(scsi[0-9];net[0-9]|ide2|virtio1;sata5;usb3;hostpci0)?|[acdn]{1,4}",
        agent in "[01](,type=(isa|virtio))?(,guest-fsfreeze=[01])?",
        vga in "std|qxl,memory=[1-9][0-9]|memory=16|serial[0-3]|none",
        startup in "(order=)?[0-9]{1,3}(,up=[0-9]{1,3})?(,down=[0-9]{1,3})?",
        machine in "(q35|pc|pc-i440fx-[1-9]\\.[0-9])(,enable-s3=[01])?(,enable-s4=[01])?",
        rng in "/dev/(u?random|hwrng)(,max_bytes=[0-9]{1,4})?(,period=[0-9]{1,4})?",
        smbios in "uuid=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(,product=[a-z]{1,9}(,base64=[01])?)?",
        efi in "local:1/d(,efitype=[24]m)?(,pre-enrolled-keys=[01])?(,size=528K)?",
    ) {
        survives!(Boot, &boot);
        survives!(Agent, &agent);
        survives!(Vga, &vga);
        survives!(Startup, &startup);
        survives!(Machine, &machine);
        survives!(Rng, &rng);
        survives!(Smbios, &smbios);
        survives!(EfiDisk, &efi);
    }

    #[test]
    fn what_cloud_init_is_told_survives(
        ip4 in prop::option::of("ip=(dhcp|10\\.[1-9]{1,2}\\.0\\.[1-9]/(8|24|32)(,gw=10\\.0\\.0\\.1)?)"),
        ip6 in prop::option::of("ip6=(dhcp|auto|fd00::[0-9a-f]{1,4}/(64|128)(,gw6=fd00::1)?)"),
        custom in "(meta=local:snippets/[a-z]{1,9})?(,user=local:snippets/u[.]yaml)?(,vendor=nfs:snippets/v)?",
    ) {
        let address = [ip4, ip6].into_iter().flatten().collect::<Vec<_>>().join(",");
        survives!(IpConfig, &address);
        survives!(CustomFiles, &custom);
    }

    #[test]
    fn no_text_makes_a_view_panic(text in "[a-z0-9=,;:+./-]{0,40}") {
        for bus in DriveBus::ALL {
            if let Ok(drive) = Drive::parse(bus, &text) {
                let _ = (drive.source(), drive.throttle(), drive.serial(), drive.print());
            }
        }
        let _ = (Net::parse(&text), Boot::parse(&text), Cpu::parse(&text), Vga::parse(&text));
        let _ = (Agent::parse(&text), Startup::parse(&text), Machine::parse(&text));
        let _ = (HostPci::parse(&text), VirtioFs::parse(&text), Audio::parse(&text));
        let _ = (Rng::parse(&text), Smbios::parse(&text), EfiDisk::parse(&text));
        let _ = (text.parse::<DriveSlot>(), text.parse::<BootDevice>());
    }
}

fn refused(option: &str, value: &str) -> String {
    let given = [(option.to_owned(), value.into())].into_iter().collect();
    check_object(OPTIONS, &given).unwrap_err()[option].clone()
}

#[test]
fn what_this_version_lacks_is_refused_and_not_stored() {
    let cases = [
        ("ivshmem", "size=32", "not supported"),
        (
            "tpmstate0",
            "local:1,format=qcow2",
            "format: value 'qcow2' is not supported",
        ),
        (
            "citype",
            "opennebula",
            "value 'opennebula' is not supported",
        ),
        ("arch", "aarch64", "value 'aarch64' is not supported"),
        ("vga", "qxl2", "type: value 'qxl2' is not supported"),
        (
            "net0",
            "ne2k_isa,bridge=vmbr0",
            "model: value 'ne2k_isa' is not supported",
        ),
        ("watchdog", "i6300esb,action=nap", "invalid format"),
    ];
    for (option, value, reason) in cases {
        let text = refused(option, value);
        assert!(text.starts_with(reason), "{option}={value}: {text}");
    }
}

#[test]
fn what_later_versions_use_is_stored() {
    let given = serde_json::json!({
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=5,trunks=1;2-3,rate=12.5",
        "hotplug": "network,disk",
        "startup": "order=1,up=3", "affinity": "0-3,7", "agent": "1",
        "tags": "a;b", "cpulimit": "1.5", "boot": "order=scsi0;net0", "memory": "2048",
        "cdrom": "none", "unused255": "local:1/d", "rng0": "source=/dev/urandom", "lock": "backup",
        "smbios1": "uuid=00000000-0000-0000-0000-000000000001", "serial0": "socket",
    });
    let serde_json::Value::Object(given) = given else {
        panic!("an object")
    };
    assert_eq!(check_object(OPTIONS, &given).unwrap().len(), given.len());
}

#[test]
fn formats_name_what_is_wrong() {
    let cases = [
        ("affinity", "3-1"),
        ("hotplug", "network,disc"),
        ("startup", "order=1,later=2"),
        ("bootdisk", "scsi99"),
        ("boot", "order=scsi99"),
        ("rng0", "/etc/passwd"),
        ("scsi0", "local:../x"),
        ("cpu", "host,flags=aes"),
        ("vmgenid", "2"),
    ];
    for (option, value) in cases {
        let text = refused(option, value);
        assert!(
            text.contains("invalid format") || text.contains("pattern"),
            "{option}: {text}"
        );
    }
}

/// Every pattern compiles, every alias names a key, and no name occurs twice.
#[test]
fn the_schemas_are_sound() {
    let mut names: Vec<&str> = OPTIONS
        .iter()
        .flat_map(|g| g.iter())
        .map(|f| f.name)
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), count), (81, 81));
    for option in OPTIONS.iter().flat_map(|group| group.iter()) {
        assert!(option.optional, "{}", option.name);
        let keys = match option.format {
            Format::Properties { fields, .. } => fields,
            _ => &[],
        };
        for field in keys.iter().chain([option]) {
            if let Some(pattern) = field.pattern {
                regex_lite::Regex::new(pattern).unwrap_or_else(|e| panic!("{}: {e}", field.name));
            }
            let target = match field.alias {
                Alias::None => continue,
                Alias::Of(key) => key,
                Alias::Keyed { value, .. } => value,
            };
            assert!(
                keys.iter().any(|other| other.name == target),
                "{}",
                field.name
            );
        }
    }
}

#[test]
fn each_bus_has_the_keys_of_its_schema() {
    assert_eq!(
        [IDE.len(), SATA.len(), SCSI.len(), VIRTIO.len()],
        [45, 44, 50, 44]
    );
    assert!(parse_properties(VIRTIO, "none,ssd=1").is_err());
    assert!(parse_properties(IDE, "none,iothread=1").is_err());
}
