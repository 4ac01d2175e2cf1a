//! The processor: `x86-64-v2-AES,flags=+pcid;-aes`.

use std::fmt;

use super::CPU_MODELS;
use crate::schema::{Field, Properties, PropertyError, format, parse_properties, print_properties};

const FLAGS: &str = r"[+-][a-zA-Z0-9\-_.]+(?:;[+-][a-zA-Z0-9\-_.]+)*";

/// The models that `reported-model` may name.
const REPORTED: &[&str] = &[
    "486",
    "a64fx",
    "athlon",
    "Broadwell",
    "Broadwell-IBRS",
    "Broadwell-noTSX",
    "Broadwell-noTSX-IBRS",
    "Cascadelake-Server",
    "Cascadelake-Server-noTSX",
    "Cascadelake-Server-v2",
    "Cascadelake-Server-v4",
    "Cascadelake-Server-v5",
    "ClearwaterForest",
    "ClearwaterForest-v2",
    "ClearwaterForest-v3",
    "Conroe",
    "Cooperlake",
    "Cooperlake-v2",
    "core2duo",
    "coreduo",
    "cortex-a35",
    "cortex-a53",
    "cortex-a55",
    "cortex-a57",
    "cortex-a710",
    "cortex-a72",
    "cortex-a76",
    "cortex-a78ae",
    "DiamondRapids",
    "EPYC",
    "EPYC-Genoa",
    "EPYC-Genoa-v2",
    "EPYC-IBPB",
    "EPYC-Milan",
    "EPYC-Milan-v2",
    "EPYC-Milan-v3",
    "EPYC-Rome",
    "EPYC-Rome-v2",
    "EPYC-Rome-v3",
    "EPYC-Rome-v4",
    "EPYC-Rome-v5",
    "EPYC-Turin",
    "EPYC-v3",
    "EPYC-v4",
    "EPYC-v5",
    "GraniteRapids",
    "GraniteRapids-v2",
    "GraniteRapids-v3",
    "GraniteRapids-v4",
    "GraniteRapids-v5",
    "Haswell",
    "Haswell-IBRS",
    "Haswell-noTSX",
    "Haswell-noTSX-IBRS",
    "host",
    "Icelake-Client",
    "Icelake-Client-noTSX",
    "Icelake-Server",
    "Icelake-Server-noTSX",
    "Icelake-Server-v3",
    "Icelake-Server-v4",
    "Icelake-Server-v5",
    "Icelake-Server-v6",
    "Icelake-Server-v7",
    "IvyBridge",
    "IvyBridge-IBRS",
    "KnightsMill",
    "kvm32",
    "kvm64",
    "max",
    "Nehalem",
    "Nehalem-IBRS",
    "neoverse-n1",
    "neoverse-n2",
    "neoverse-v1",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
    "Opteron_G4",
    "Opteron_G5",
    "Penryn",
    "pentium",
    "pentium2",
    "pentium3",
    "phenom",
    "qemu32",
    "qemu64",
    "SandyBridge",
    "SandyBridge-IBRS",
    "SapphireRapids",
    "SapphireRapids-v2",
    "SapphireRapids-v3",
    "SapphireRapids-v4",
    "SapphireRapids-v5",
    "SapphireRapids-v6",
    "SierraForest",
    "SierraForest-v2",
    "SierraForest-v3",
    "SierraForest-v4",
    "SierraForest-v5",
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
];

/// What the names of models of the cluster's own begin with.
const CUSTOM: &str = "custom-";

/// The name of a model of the cluster's own, as it is kept; none of another.
pub fn custom_cpu_name(model: &str) -> Option<&str> {
    model.strip_prefix(CUSTOM)
}

const BITS: &str = "host|[0-9]{1,2}";

/// What a model of the cluster's own is, besides its name.
pub const CUSTOM_CPU: &[Field] = &[
    Field::string("flags").optional().pattern(FLAGS),
    Field::integer("guest-phys-bits")
        .optional()
        .range(32.0, 64.0),
    Field::boolean("hidden").optional().default("0"),
    Field::string("hv-vendor-id")
        .optional()
        .pattern("[a-zA-Z0-9]{1,12}"),
    Field::integer("level")
        .optional()
        .range(0.0, 4_294_967_295.0),
    Field::string("phys-bits").optional().also(check_phys_bits),
];

/// The model of QEMU's that one of the cluster's own is made from.
pub const REPORTED_MODEL: Field = Field::string("reported-model")
    .one_of(REPORTED)
    .default("kvm64");

/// `host`, or a number from 8 to 64.
fn check_phys_bits(text: &str) -> Result<(), PropertyError> {
    let bits = text.parse::<u8>().ok();
    if text == "host" || bits.is_some_and(|bits| (8..=64).contains(&bits)) {
        return Ok(());
    }
    let reason = "value must be 'host' or between 8 and 64";
    Err(PropertyError::Syntax(reason.to_owned()))
}

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
    Field::string("phys-bits").optional().pattern(BITS),
    // Only valid in the definition of a model of the cluster's own.
    REPORTED_MODEL.optional().unbuilt(),
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
    /// A model of QEMU's, one of Proxmox VE's `x86-64-v…`, or `custom-NAME`, one of the cluster's
    /// own.
    pub model: Option<String>,
    pub flags: Vec<CpuFlag>,
    pub guest_phys_bits: Option<u8>,
    /// Whether the guest shall not see that it is a virtual machine.
    pub hidden: Option<bool>,
    /// The hypervisor vendor that Windows sees.
    pub hv_vendor_id: Option<String>,
    /// `host`, or the number of bits of a physical address.
    pub phys_bits: Option<String>,
    /// The highest basic CPUID function; only of a model of the cluster's own.
    pub level: Option<u32>,
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
            level: None,
        };
        if let Some(bits) = &cpu.phys_bits {
            check_phys_bits(bits).map_err(|error| {
                PropertyError::Keys(vec![("phys-bits".to_owned(), error.to_string())])
            })?;
        }
        Ok(cpu)
    }

    /// The name of its model, if that is one of the cluster's own.
    pub fn custom_name(&self) -> Option<&str> {
        custom_cpu_name(self.model.as_deref()?)
    }

    /// The same with a model of the cluster's own in place of its name. What the guest itself says
    /// goes before what the model says, flag by flag.
    #[must_use]
    pub fn made_from(self, model: Self) -> Self {
        let is_set = |flag: &CpuFlag| self.flags.iter().any(|own| own.name == flag.name);
        let mut flags = model.flags;
        flags.retain(|flag| !is_set(flag));
        flags.extend(self.flags);
        Self {
            model: model.model,
            flags,
            guest_phys_bits: self.guest_phys_bits.or(model.guest_phys_bits),
            hidden: self.hidden.or(model.hidden),
            hv_vendor_id: self.hv_vendor_id.or(model.hv_vendor_id),
            phys_bits: self.phys_bits.or(model.phys_bits),
            level: model.level,
        }
    }

    /// Refuses an unknown model. A guest that already has one keeps it; starting it reports the
    /// error.
    pub(super) fn check_model(text: &str) -> Result<(), PropertyError> {
        let Some(model) = Self::parse(text)?.model else {
            return Ok(());
        };
        let reason = match custom_cpu_name(&model) {
            // Whether there is such a model is known to who has the records.
            Some(custom) if format::CONFIG_ID.allows(custom) => return Ok(()),
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
