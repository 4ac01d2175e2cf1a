//! Golden command lines of each kind of guest. A difference that a guest could notice (in
//! `-machine`, `-cpu`, `-device`, …) needs a new layout version, not a new snapshot, from the first
//! release on.

mod cases;

use cases::{CASES, command_line, config, taps, volumes};
use guest::qemu::{
    Accel, ArgvError, Backend, Behind, DeviceFile, LayoutError, PciFunction, QemuInfo, QemuVersion,
    RunningAs, RuntimePaths, Tap, argv, plan,
};
use model::qemu::Aio;
use model::{PortSpec, Vlans};

fn qemu_7_2() -> QemuInfo {
    QemuInfo::new(QemuVersion {
        major: 7,
        minor: 2,
        micro: 22,
    })
}

#[test]
fn command_lines_are_as_recorded() {
    for case in CASES {
        let config = config(case.options);
        let volumes = volumes(&config, "/images");
        let taps = taps(&config, "tap100");
        let (running, line) = command_line(
            &config,
            &qemu_7_2(),
            &volumes,
            &taps,
            "/run/ostler/guests/100",
        );
        let mut text = String::new();
        for argument in &line {
            // An option and its value on one line.
            text.push_str(if argument.starts_with('-') { "\n" } else { " " });
            text.push_str(argument);
        }
        insta::assert_snapshot!(case.name, text.trim_start());
        // The value survives serialization.
        let written = serde_json::to_string(&running).unwrap();
        assert_eq!(
            serde_json::from_str::<RunningAs>(&written).unwrap(),
            running
        );
    }
}

#[test]
fn a_newer_qemu_keeps_a_pinned_machine() {
    let newer = QemuInfo::new(QemuVersion {
        major: 10,
        minor: 0,
        micro: 2,
    });
    let pinned = config("machine: pc-i440fx-7.2+pve1");
    assert_eq!(
        plan(&pinned, &newer, Accel::Tcg).unwrap().machine,
        "pc-i440fx-7.2"
    );
    assert_eq!(
        plan(&config("machine: q35"), &newer, Accel::Tcg)
            .unwrap()
            .machine,
        "pc-q35-10.0"
    );
    let error = plan(&config("machine: pc-q35-10.0"), &qemu_7_2(), Accel::Tcg).unwrap_err();
    assert!(matches!(error, LayoutError::MachineTooNew { .. }));
    let machines = QemuInfo::from_texts("7.2.0", "pc-i440fx-7.2 Standard PC\n").unwrap();
    let error = plan(&config("machine: pc-i440fx-2.4"), &machines, Accel::Tcg).unwrap_err();
    assert!(matches!(error, LayoutError::MachineUnknown { .. }));
}

#[test]
fn what_is_missing_is_told() {
    let paths = RuntimePaths::new("/run/ostler/guests/100");
    let missing = |options: &str| {
        let config = config(options);
        let running = plan(&config, &qemu_7_2(), Accel::Tcg).unwrap();
        let none = Behind::default();
        argv(&running, &config, &none, &paths, Aio::Threads).unwrap_err()
    };
    assert_eq!(
        missing("scsi0: local:1/a.raw"),
        ArgvError::NoVolume("scsi0".parse().unwrap())
    );
    assert_eq!(missing("net1: virtio,bridge=vmbr0"), ArgvError::NoTap(1));
    assert_eq!(missing("usb3: host=1-2"), ArgvError::NoUsb(3));
    assert_eq!(missing("hostpci3: 01:00"), ArgvError::NoPci(3));
    let serial = ArgvError::NoPort("serial1".to_owned());
    assert_eq!(missing("serial1: /dev/ttyS0"), serial);
    assert_eq!(
        missing("bios: ovmf"),
        ArgvError::NoVolume("efidisk0".parse().unwrap())
    );

    let config = config("scsi0: local:1/a.raw");
    let running = plan(&config, &qemu_7_2(), Accel::Tcg).unwrap();
    let relative = Behind {
        volumes: volumes(&config, "images"),
        ..Behind::default()
    };
    let error = argv(&running, &config, &relative, &paths, Aio::Threads).unwrap_err();
    assert_eq!(error, ArgvError::RelativePath("images/a.raw".to_owned()));
}

#[test]
fn usb_devices_are_at_ports_of_one_controller() {
    let paths = RuntimePaths::new("/run/ostler/guests/100");
    let options = "usb0: host=1234:5678\nusb2: mapping=stick\nboot: order=usb2";
    let behind = Behind {
        usbs: [
            (0, DeviceFile::Descriptor(7)),
            (2, DeviceFile::Path("/dev/bus/usb/001/004".into())),
        ]
        .into(),
        ..Behind::default()
    };
    for (machine, place) in [
        ("pc", r#""bus":"pci.0","addr":"0x19""#),
        ("q35", r#""bus":"pcie.0","addr":"0xb""#),
    ] {
        let config = config(&format!("machine: {machine}\n{options}"));
        let running = plan(&config, &qemu_7_2(), Accel::Tcg).unwrap();
        let line = argv(&running, &config, &behind, &paths, Aio::Threads).unwrap();
        let usb: Vec<&str> = line
            .iter()
            .filter(|argument| argument.contains("usb-host") || argument.contains("xhci"))
            .map(String::as_str)
            .collect();
        assert_eq!(
            usb,
            [
                format!(r#"{{"driver":"qemu-xhci","id":"xhci",{place},"p2":14,"p3":14}}"#).as_str(),
                r#"{"driver":"usb-host","id":"usb0","bus":"xhci.0","hostdevice":"/dev/fdset/7","port":"1"}"#,
                r#"{"driver":"usb-host","id":"usb2","bus":"xhci.0","hostdevice":"/dev/bus/usb/001/004","port":"3","bootindex":100}"#,
            ]
        );
        let passed = "fd=7,set=7,opaque=usb0".to_owned();
        assert!(line.contains(&passed), "{line:?}");
    }
}

#[test]
fn a_device_of_the_host_may_have_several_functions() {
    let mut config =
        config("machine: q35\nhostpci0: 01:00,pcie=1,x-vga=1,romfile=card.rom\nbios: seabios");
    config.pci_functions = [(0, 2)].into();
    let mediated = PciFunction::Mediated {
        parent: "0000:01:00.0".to_owned(),
        kind: "i915-GVTg_V5_4".to_owned(),
        uuid: "00000000-0000-0000-0000-000000000100".to_owned(),
    };
    let behind = Behind {
        pcis: [(
            0,
            vec![PciFunction::At("0000:01:00.0".to_owned()), mediated],
        )]
        .into(),
        ..Behind::default()
    };
    let running = plan(&config, &qemu_7_2(), Accel::Kvm).unwrap();
    let paths = RuntimePaths::new("/run/ostler/guests/100");
    let line = argv(&running, &config, &behind, &paths, Aio::Threads).unwrap();
    let functions: Vec<&str> = line
        .iter()
        .filter(|argument| argument.contains("vfio-pci"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        functions,
        [
            r#"{"driver":"vfio-pci","id":"hostpci0.0","bus":"port.10.0","addr":"0x0.0","host":"0000:01:00.0","romfile":"/usr/share/kvm/card.rom","multifunction":true,"x-vga":true}"#,
            r#"{"driver":"vfio-pci","id":"hostpci0.1","bus":"port.10.0","addr":"0x0.1","sysfsdev":"/sys/bus/mdev/devices/00000000-0000-0000-0000-000000000100"}"#,
        ]
    );
    // It is the display, and its driver may not know that it is a guest's.
    assert!(running.device("vga").is_none());
    assert!(running.cpu.contains("kvm=off"), "{}", running.cpu);
}

#[test]
fn a_tap_may_be_passed_as_descriptors() {
    let config = config("net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=2");
    let spec = PortSpec {
        name: "tap100i0".to_owned(),
        bridge: "vmbr0".to_owned(),
        mtu: None,
        vlans: Vlans::default(),
        isolated: false,
    };
    let tap = Tap::Descriptors {
        spec,
        taps: vec![5, 6],
        vhost: vec![8, 9],
    };
    let (_, line) = command_line(
        &config,
        &qemu_7_2(),
        &Default::default(),
        &[(0, tap)].into_iter().collect(),
        "/run/x",
    );
    let at = line
        .iter()
        .position(|argument| argument == "-netdev")
        .unwrap();
    insta::assert_snapshot!(line[at + 1], @r#"{"type":"tap","id":"netdev0","vhost":true,"fds":"5:6","vhostfds":"8:9"}"#);
}

#[test]
fn what_can_be_plugged_is_planned_with_what_it_hangs_on() {
    let base = "scsihw: virtio-scsi-single\nscsi0: local:1/a.raw";
    let plan = |more: &str| {
        let config = config(&format!("{base}{more}"));
        plan(&config, &qemu_7_2(), Accel::Tcg).unwrap()
    };
    let running = plan("");
    let ids = |more: &str, backend: Backend| {
        let devices = running.plug(&plan(more), &backend)?;
        Some(
            devices
                .iter()
                .map(|device| device.id.clone())
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    let drive = |slot: &str| Backend::Drive(slot.parse().unwrap());
    assert_eq!(
        ids("\nscsi3: local:1/b.raw", drive("scsi3")).unwrap(),
        "virtioscsi3 scsi3"
    );
    assert_eq!(
        ids("\nvirtio2: local:1/b.raw", drive("virtio2")).unwrap(),
        "virtio2"
    );
    assert_eq!(ids("\nnet2: virtio", Backend::Net(2)).unwrap(), "net2");
    // Behind a missing bridge, on a bus without hot-plug, and existing already.
    assert_eq!(ids("\nnet8: virtio", Backend::Net(8)), None);
    assert_eq!(ids("\nsata0: local:1/b.raw", drive("sata0")), None);
    assert_eq!(ids("", drive("scsi0")), None);
}

#[test]
fn a_users_text_stays_in_its_place() {
    let config = config(
        "name: a.b\nscsi0: local:1/a.raw,serial=x%2Cfile.locking%3Doff%22\n\
         smbios1: manufacturer=QSxzZXJpYWw9WA==,base64=1",
    );
    let volumes = volumes(&config, "/images,readonly=on");
    let (_, line) = command_line(
        &config,
        &qemu_7_2(),
        &volumes,
        &Default::default(),
        "/run/a,path=b",
    );
    let all = line.join("\n");
    assert!(all.contains("path=/run/a,,path=b/qmp.sock"));
    assert!(all.contains(r#""serial":"x,file.locking=off\"""#));
    assert!(all.contains("manufacturer=A,,serial=X"));
}

#[test]
fn a_security_module_is_another_program_behind_a_socket() {
    let config = config("tpmstate0: local:1/vm-1-disk-0.raw,size=4M,version=v2.0\nvga: none");
    let (_, line) = command_line(
        &config,
        &qemu_7_2(),
        &volumes(&config, "/images"),
        &taps(&config, "tap100"),
        "/run/ostler/guests/100",
    );
    let after = |option: &str, value: &str| {
        let mut pairs = line.windows(2);
        assert!(
            pairs.any(|pair| pair[0] == option && pair[1] == value),
            "{option} {value}: {line:?}"
        );
    };
    let socket = "socket,id=tpm-socket,path=/run/ostler/guests/100/swtpm.sock";
    after("-chardev", socket);
    after("-tpmdev", "emulator,id=tpm,chardev=tpm-socket");
    after(
        "-device",
        r#"{"driver":"tpm-tis","id":"tpm0","tpmdev":"tpm"}"#,
    );
    assert!(!line.iter().any(|argument| argument.contains("vm-1-disk")));
}
