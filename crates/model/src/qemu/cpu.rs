//! The processor: `x86-64-v2-AES,flags=+pcid;-aes`.

use std::fmt;

use super::CPU_MODELS;
use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

const FLAGS: &str = r"[+-][a-zA-Z0-9\-_.]+(?:;[+-][a-zA-Z0-9\-_.]+)*";

/// The models that `reported-model` may name.
const REPORTED: &[&str] = &[
    "486",
    "Broadwell",
    "Broadwell-IBRS",
    "Broadwell-noTSX",
    "Broadwell-noTSX-IBRS",
    "Cascadelake-Server",
    "Cascadelake-Server-noTSX",
    "Cascadelake-Server-v2",
    "Cascadelake-Server-v4",
    "Cascadelake-Server-v5",
    "Conroe",
    "Cooperlake",
    "Cooperlake-v2",
    "EPYC",
    "EPYC-Genoa",
    "EPYC-IBPB",
    "EPYC-Milan",
    "EPYC-Milan-v2",
    "EPYC-Rome",
    "EPYC-Rome-v2",
    "EPYC-Rome-v3",
    "EPYC-Rome-v4",
    "EPYC-v3",
    "EPYC-v4",
    "GraniteRapids",
    "Haswell",
    "Haswell-IBRS",
    "Haswell-noTSX",
    "Haswell-noTSX-IBRS",
    "Icelake-Client",
    "Icelake-Client-noTSX",
    "Icelake-Server",
    "Icelake-Server-noTSX",
    "Icelake-Server-v3",
    "Icelake-Server-v4",
    "Icelake-Server-v5",
    "Icelake-Server-v6",
    "IvyBridge",
    "IvyBridge-IBRS",
    "KnightsMill",
    "Nehalem",
    "Nehalem-IBRS",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
    "Opteron_G4",
    "Opteron_G5",
    "Penryn",
    "SandyBridge",
    "SandyBridge-IBRS",
    "SapphireRapids",
    "SapphireRapids-v2",
    "Skylake-Client",
    "Skylake-Client-IBRS",
    "Skylake-Client-noTSX-IBRS",
    "Skylake-Client-v4",
    "Skylake-Server",
    "Skylake-Server-IBRS",
    "Skylake-Server-noTSX-IBRS",
    "Skylake-Server-v4",
    "Skylake-Server-v5",
    "Westmere",
    "Westmere-IBRS",
    "athlon",
    "core2duo",
    "coreduo",
    "host",
    "kvm32",
    "kvm64",
    "max",
    "pentium",
    "pentium2",
    "pentium3",
    "phenom",
    "qemu32",
    "qemu64",
];

pub(super) const CPU: &[Field] = &[
    Field::string("cputype")
        .optional()
        .pattern(r"[a-zA-Z0-9\-_.]+")
        .default("kvm64")
        .default_key(),
    Field::string("flags").optional().pattern(FLAGS),
    Field::integer("guest-phys-bits")
        .optional()
        .range(32.0, 64.0),
    Field::boolean("hidden").optional().default("0"),
    Field::string("hv-vendor-id")
        .optional()
        .pattern("[a-zA-Z0-9]{1,12}"),
    Field::string("phys-bits")
        .optional()
        .pattern("host|[0-9]{1,2}"),
    // Only valid in the definition of a custom model, which this version does not have.
    Field::string("reported-model")
        .optional()
        .one_of(REPORTED)
        .default("kvm64")
        .unbuilt(),
];

/// One feature of the processor, added or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuFlag {
    pub name: String,
    pub on: bool,
}

impl fmt::Display for CpuFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.on { '+' } else { '-' }, self.name)
    }
}

/// The option `cpu`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// A model of QEMU's, or one of Proxmox VE's `x86-64-v…`.
    pub model: Option<String>,
    pub flags: Vec<CpuFlag>,
    pub guest_phys_bits: Option<u8>,
    /// Whether the guest shall not see that it is a virtual machine.
    pub hidden: Option<bool>,
    /// The hypervisor vendor that Windows sees.
    pub hv_vendor_id: Option<String>,
    /// `host`, or the number of bits of a physical address.
    pub phys_bits: Option<String>,
}

impl Cpu {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(CPU, text)?;
        let owned = |key: &str| keys.text(key).map(str::to_owned);
        let flags = keys
            .text("flags")
            .unwrap_or_default()
            .split(';')
            .filter(|f| !f.is_empty());
        let cpu = Self {
            model: owned("cputype"),
            flags: flags
                .map(|flag| CpuFlag {
                    name: flag[1..].to_owned(),
                    on: flag.starts_with('+'),
                })
                .collect(),
            guest_phys_bits: keys
                .integer("guest-phys-bits")
                .and_then(|n| u8::try_from(n).ok()),
            hidden: keys.flag("hidden"),
            hv_vendor_id: owned("hv-vendor-id"),
            phys_bits: owned("phys-bits"),
        };
        let bits = cpu
            .phys_bits
            .as_deref()
            .and_then(|bits| bits.parse::<u8>().ok());
        if bits.is_some_and(|bits| !(8..=64).contains(&bits)) {
            let reason = "value must be 'host' or between 8 and 64".to_owned();
            return Err(PropertyError::Keys(vec![("phys-bits".to_owned(), reason)]));
        }
        Ok(cpu)
    }

    /// Refuses an unknown model. A guest that already has one keeps it; starting it reports the
    /// error.
    pub(super) fn check_model(text: &str) -> Result<(), PropertyError> {
        let Some(model) = Self::parse(text)?.model else {
            return Ok(());
        };
        let reason = match model.strip_prefix("custom-") {
            Some(custom) => format!("Custom cputype '{custom}' not found"),
            None if CPU_MODELS.iter().any(|(name, _)| *name == model) => return Ok(()),
            None => {
                format!("Built-in cputype '{model}' is not defined (missing 'custom-' prefix?)")
            }
        };
        Err(PropertyError::Syntax(reason))
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        let texts = [
            ("cputype", &self.model),
            ("hv-vendor-id", &self.hv_vendor_id),
            ("phys-bits", &self.phys_bits),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                keys.set(CPU, key, text.as_str());
            }
        }
        if !self.flags.is_empty() {
            let flags: Vec<String> = self.flags.iter().map(CpuFlag::to_string).collect();
            keys.set(CPU, "flags", flags.join(";"));
        }
        if let Some(bits) = self.guest_phys_bits {
            keys.set(CPU, "guest-phys-bits", bits);
        }
        if let Some(hidden) = self.hidden {
            keys.set(CPU, "hidden", hidden);
        }
        print_properties(CPU, &keys)
    }
}
