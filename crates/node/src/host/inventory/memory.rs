//! Memory modules, from the firmware's table (SMBIOS, which the kernel calls DMI).
//!
//! The table is a row of structures: type, length and a number, then fields, then the strings that
//! the fields count from one, each with a null byte at its end, and one more null byte.

use std::path::Path;

use serde::Serialize;
use sys::SharedHost;

use super::name_of;

/// A place for a module, with one or without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Module {
    /// What the board calls the place, `DIMM_A1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// In bytes; none where there is no module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `DDR5`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// As it is run, in millions of transfers a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<u32>,
    /// It has bits to correct errors with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The vendor's name for such modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

const TABLE: &str = "/sys/firmware/dmi/tables/DMI";

/// Types of structures.
const MEMORY_DEVICE: u8 = 17;
const END_OF_TABLE: u8 = 127;

/// Type, length and number of a structure.
const HEAD: usize = 4;

/// Types of memory by their numbers.
const KINDS: [(u8, &str); 16] = [
    (7, "RAM"),
    (15, "SDRAM"),
    (18, "DDR"),
    (19, "DDR2"),
    (20, "DDR2 FB-DIMM"),
    (24, "DDR3"),
    (26, "DDR4"),
    (27, "LPDDR"),
    (28, "LPDDR2"),
    (29, "LPDDR3"),
    (30, "LPDDR4"),
    (31, "non-volatile"),
    (32, "HBM"),
    (33, "HBM2"),
    (34, "DDR5"),
    (35, "LPDDR5"),
];

pub(super) async fn modules(host: &SharedHost) -> Vec<Module> {
    let table = host.read(Path::new(TABLE)).await.unwrap_or_default();
    of_table(&table)
}

fn of_table(table: &[u8]) -> Vec<Module> {
    let mut modules = Vec::new();
    let mut rest = table;
    while let Some((structure, after)) = Structure::first_of(rest) {
        match structure.byte(0) {
            Some(MEMORY_DEVICE) => modules.push(module(&structure)),
            Some(END_OF_TABLE) => break,
            _ => {}
        }
        rest = after;
    }
    modules
}

/// A structure of the table. A field that an older table has not is none.
struct Structure<'a> {
    fields: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Structure<'a> {
    /// The first structure of a table, and what follows it.
    fn first_of(table: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = usize::from(*table.get(1)?);
        if length < HEAD {
            return None;
        }
        let (fields, rest) = table.split_at_checked(length)?;
        let end = rest.windows(2).position(|two| two == [0, 0])?;
        let (strings, after) = rest.split_at(end);
        Some((Self { fields, strings }, after.get(2..)?))
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.fields.get(at).copied()
    }

    fn word(&self, at: usize) -> Option<u16> {
        let bytes = self.fields.get(at..at + 2)?;
        bytes.try_into().ok().map(u16::from_le_bytes)
    }

    fn double_word(&self, at: usize) -> Option<u32> {
        let bytes = self.fields.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    }

    /// The string that a field names.
    fn string(&self, at: usize) -> Option<String> {
        let number = usize::from(self.byte(at)?).checked_sub(1)?;
        let text = self.strings.split(|byte| *byte == 0).nth(number)?;
        name_of(&String::from_utf8_lossy(text))
    }
}

fn module(device: &Structure<'_>) -> Module {
    let slot = device.string(0x10);
    let Some(size) = size(device) else {
        return Module {
            slot,
            ..Module::default()
        };
    };
    let number = device.byte(0x12);
    let kind = KINDS.iter().find(|(of, _)| Some(*of) == number);
    Module {
        slot,
        size: Some(size),
        kind: kind.map(|(_, name)| *name),
        // As it is set, and else as it may be.
        speed: speed(device, 0x20, 0x58).or(speed(device, 0x15, 0x54)),
        ecc: ecc(device),
        vendor: device.string(0x17),
        part: device.string(0x1a),
        serial: device.string(0x18),
    }
}

fn size(device: &Structure<'_>) -> Option<u64> {
    const UNKNOWN: u16 = 0xffff;
    const IN_KIB: u16 = 0x8000;
    /// The size is in a field of its own, which has room for more.
    const ELSEWHERE: u16 = 0x7fff;
    match device.word(0x0c)? {
        0 | UNKNOWN => None,
        ELSEWHERE => device
            .double_word(0x1c)
            .map(|mib| u64::from(mib & 0x7fff_ffff) << 20),
        kib if kib & IN_KIB != 0 => Some(u64::from(kib & !IN_KIB) << 10),
        mib => Some(u64::from(mib) << 20),
    }
}

fn speed(device: &Structure<'_>, at: usize, elsewhere: usize) -> Option<u32> {
    match device.word(at)? {
        0 => None,
        u16::MAX => device.double_word(elsewhere).filter(|speed| *speed != 0),
        speed => Some(speed.into()),
    }
}

/// Whether a module is wider than its data.
fn ecc(device: &Structure<'_>) -> Option<bool> {
    let is_known = |width: &u16| *width != 0 && *width != u16::MAX;
    let total = device.word(0x08).filter(is_known)?;
    Some(total > device.word(0x0a).filter(is_known)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure with these fields, each at its place, and strings.
    fn structure(kind: u8, length: u8, fields: &[(usize, &[u8])], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0; length.into()];
        bytes[0] = kind;
        bytes[1] = length;
        for (at, field) in fields {
            bytes[*at..at + field.len()].copy_from_slice(field);
        }
        for text in strings {
            bytes.extend(text.bytes());
            bytes.push(0);
        }
        bytes.extend([0].repeat(if strings.is_empty() { 2 } else { 1 }));
        bytes
    }

    #[test]
    fn modules_and_empty_slots_are_in_the_order_of_the_table() {
        let board = structure(2, 15, &[(4, &[1])], &["Board"]);
        let fields: [(usize, &[u8]); 10] = [
            (0x08, &[80, 0]),
            (0x0a, &[64, 0]),
            (0x0c, &[0xff, 0x7f]),
            (0x10, &[1]),
            (0x12, &[34]),
            (0x15, &[0xe0, 0x15]),
            (0x17, &[2, 3]),
            (0x1a, &[4]),
            (0x1c, &[0, 0x80, 0, 0]),
            (0x20, &[0xc0, 0x12]),
        ];
        let strings = ["DIMM_A1", "Acme ", "0123", "M1-32"];
        let full = structure(MEMORY_DEVICE, 0x22, &fields, &strings);
        let empty = structure(MEMORY_DEVICE, 0x1b, &[(0x10, &[1])], &["DIMM_A2"]);
        let end = structure(END_OF_TABLE, 4, &[], &[]);
        let table = [board, full, empty.clone(), end, empty].concat();
        let first = Module {
            slot: Some("DIMM_A1".into()),
            size: Some(32 << 30),
            kind: Some("DDR5"),
            speed: Some(4800),
            ecc: Some(true),
            vendor: Some("Acme".into()),
            part: Some("M1-32".into()),
            serial: Some("0123".into()),
        };
        let second = Module {
            slot: Some("DIMM_A2".into()),
            ..Module::default()
        };
        assert_eq!(of_table(&table), [first, second]);
    }

    #[test]
    fn sizes_and_speeds_have_several_places() {
        let of = |fields: &[(usize, &[u8])]| {
            let found = of_table(&structure(MEMORY_DEVICE, 0x5c, fields, &[]));
            (found[0].size, found[0].speed)
        };
        assert_eq!(of(&[(0x0c, &[0, 2])]), (Some(512 << 20), None));
        assert_eq!(of(&[(0x0c, &[0, 0x82])]), (Some(512 << 10), None));
        assert_eq!(of(&[(0x0c, &[0xff, 0xff])]), (None, None));
        let fast: [(usize, &[u8]); 3] = [
            (0x0c, &[0, 2]),
            (0x15, &[0xff, 0xff]),
            (0x54, &[0, 0, 1, 0]),
        ];
        assert_eq!(of(&fast), (Some(512 << 20), Some(65536)));
    }

    #[test]
    fn a_table_that_ends_early_is_read_as_far_as_it_goes() {
        let whole = structure(MEMORY_DEVICE, 0x1b, &[(0x10, &[1])], &["A"]);
        let table = [whole.clone(), whole.clone()].concat();
        for end in 0..table.len() {
            assert_eq!(of_table(&table[..end]).len(), end / whole.len(), "{end}");
        }
        // A length that leads nowhere ends the table as well.
        assert_eq!(of_table(&[MEMORY_DEVICE, 0, 0, 0, 0, 0]), []);
    }
}
