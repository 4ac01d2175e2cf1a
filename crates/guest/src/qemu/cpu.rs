//! The `-cpu` argument.

use model::qemu::CpuFlag;

use super::running::Accel;
use super::{QemuVersion, VmConfig};

/// The models that Proxmox VE adds to QEMU's own: the levels of the x86-64 psABI, each on top of
/// the previous one. The base is `qemu64`.
pub(super) const LEVELS: [(&str, &[&str]); 4] = [
    (
        "x86-64-v2",
        &[
            "cx16", "lahf_lm", "popcnt", "pni", "sse4.1", "sse4.2", "ssse3",
        ],
    ),
    ("x86-64-v2-AES", &["aes"]),
    (
        "x86-64-v3",
        &[
            "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave",
        ],
    ),
    (
        "x86-64-v4",
        &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
    ),
];

/// Enlightenments that make Windows fast under KVM.
const HYPER_V: &[&str] = &[
    "hv_ipi",
    "hv_relaxed",
    "hv_reset",
    "hv_runtime",
    "hv_spinlocks=0x1fff",
    "hv_stimer",
    "hv_synic",
    "hv_time",
    "hv_vapic",
    "hv_vpindex",
];

/// The hypervisor's vendor where Windows gets a display of the host.
const HIDING_VENDOR: &str = "ostler";

/// The processor that the guest sees.
pub(super) fn argument(config: &VmConfig, accel: Accel, qemu: QemuVersion) -> String {
    let is_kvm = accel == Accel::Kvm;
    let default = if is_kvm { "kvm64" } else { "qemu64" };
    let model = match config.cpu.model.as_deref().unwrap_or(default) {
        // Without hardware acceleration there is no host processor to pass through.
        "host" if !is_kvm => "max",
        model => model,
    };
    let mut parts = level(model).unwrap_or_else(|| vec![model.to_owned()]);
    let mut push = |part: &str| parts.push(part.to_owned());
    if is_kvm {
        if model == "kvm64" {
            push("+lahf_lm");
            push("+sep");
        }
        push("+kvm_pv_eoi");
        push("+kvm_pv_unhalt");
        if config.is_windows() {
            HYPER_V.iter().for_each(|flag| push(flag));
        }
        // Drivers of displays refuse to work for a guest.
        if config.cpu.hidden == Some(true) || config.has_passed_display() {
            push("kvm=off");
        }
    }
    let hides = config.is_windows() && config.has_passed_display();
    let vendor = config.cpu.hv_vendor_id.as_deref();
    if let Some(vendor) = vendor.or(hides.then_some(HIDING_VENDOR))
        && is_kvm
    {
        push(&format!("hv_vendor_id={vendor}"));
    }
    config
        .cpu
        .flags
        .iter()
        .map(CpuFlag::to_string)
        .for_each(|flag| push(&flag));
    match config.cpu.phys_bits.as_deref() {
        Some("host") if is_kvm => push("host-phys-bits=on"),
        Some("host") | None => {}
        Some(bits) => push(&format!("phys-bits={bits}")),
    }
    if let Some(level) = config.cpu.level {
        push(&format!("level={level}"));
    }
    if let Some(bits) = config.cpu.guest_phys_bits
        && qemu.is_at_least(9, 1)
    {
        push(&format!("guest-phys-bits={bits}"));
    }
    if is_kvm {
        // The guest must not get less than its model promises, on this host or the next.
        push("enforce");
    }
    parts.join(",")
}

fn level(model: &str) -> Option<Vec<String>> {
    let mut parts = vec!["qemu64".to_owned()];
    parts.extend(added(model)?.map(|flag| format!("+{flag}")));
    Some(parts)
}

/// What a level adds to its base.
fn added(model: &str) -> Option<impl Iterator<Item = &'static str>> {
    let last = LEVELS.iter().position(|(name, _)| *name == model)?;
    let flags = LEVELS[..=last].iter().flat_map(|(_, flags)| flags.iter());
    Some(flags.copied())
}

/// The same by the names that QEMU lists.
pub(super) fn level_flags(model: &str) -> Option<impl Iterator<Item = String>> {
    Some(added(model)?.map(plain_name))
}

/// QEMU accepts `lahf_lm`, and lists `lahf-lm`.
pub(super) fn plain_name(flag: &str) -> String {
    flag.replace('_', "-")
}

/// The model in an argument `-cpu`, and the flags that it switches on or off.
pub(super) fn switched(argument: &str) -> (&str, Vec<(String, bool)>) {
    let (model, rest) = argument.split_once(',').unwrap_or((argument, ""));
    let switched = rest.split(',').filter_map(|part| {
        let on = part.strip_prefix('+').map(|flag| (flag, true));
        let off = || part.strip_prefix('-').map(|flag| (flag, false));
        let (flag, is_on) = on.or_else(off)?;
        Some((plain_name(flag), is_on))
    });
    (model, switched.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::GuestConfig;

    fn cpu(options: &[(&str, &str)], accel: Accel) -> String {
        let mut config = GuestConfig::default();
        for (option, value) in options {
            config.set(*option, *value);
        }
        let version = QemuVersion {
            major: 7,
            minor: 2,
            micro: 0,
        };
        argument(&VmConfig::parse(&config).unwrap(), accel, version)
    }

    #[test]
    fn models_and_flags() {
        let kvm = "+kvm_pv_eoi,+kvm_pv_unhalt";
        assert_eq!(cpu(&[], Accel::Tcg), "qemu64");
        assert_eq!(
            cpu(&[], Accel::Kvm),
            format!("kvm64,+lahf_lm,+sep,{kvm},enforce")
        );
        assert_eq!(cpu(&[("cpu", "host,flags=-aes")], Accel::Tcg), "max,-aes");
        assert_eq!(
            cpu(&[("cpu", "host,hidden=1,flags=+pcid;-aes")], Accel::Kvm),
            format!("host,{kvm},kvm=off,+pcid,-aes,enforce")
        );
        assert_eq!(
            cpu(&[("cpu", "x86-64-v2-AES,guest-phys-bits=40")], Accel::Tcg),
            "qemu64,+cx16,+lahf_lm,+popcnt,+pni,+sse4.1,+sse4.2,+ssse3,+aes"
        );
        assert!(cpu(&[("ostype", "win10")], Accel::Kvm).contains("hv_stimer"));
    }

    #[test]
    fn a_model_of_the_clusters_own_is_what_it_is_made_from() {
        let model = model::qemu::Cpu {
            level: Some(13),
            ..model::qemu::Cpu::parse("Westmere,flags=+aes;-pcid,hv-vendor-id=x").unwrap()
        };
        let mut config = VmConfig::parse(&GuestConfig::default()).unwrap();
        let guest = model::qemu::Cpu::parse("custom-my,flags=+pcid").unwrap();
        config.cpu = guest.made_from(model);
        let version = QemuVersion {
            major: 10,
            minor: 0,
            micro: 0,
        };
        assert_eq!(
            argument(&config, Accel::Tcg, version),
            "Westmere,+aes,+pcid,level=13"
        );
        assert_eq!(
            argument(&config, Accel::Kvm, version),
            "Westmere,+kvm_pv_eoi,+kvm_pv_unhalt,hv_vendor_id=x,+aes,+pcid,level=13,enforce"
        );
    }

    #[test]
    fn what_an_argument_switches_is_read() {
        let (model, flags) = switched("qemu64,+lahf_lm,hv_time,kvm=off,-aes,enforce");
        let expected = [("lahf-lm".to_owned(), true), ("aes".to_owned(), false)];
        assert_eq!((model, &flags[..]), ("qemu64", &expected[..]));
        assert_eq!(switched("host"), ("host", Vec::new()));
    }
}
