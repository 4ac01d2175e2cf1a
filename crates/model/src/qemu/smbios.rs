//! The SMBIOS data that the guest reads: `uuid=…,manufacturer=QWNtZQ==,base64=1`.

use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

const UUID: &str = "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}";
// Base64; plain text of these characters matches too.
const TEXT: &str = "[A-Za-z0-9+/]+={0,2}";

pub(super) const SMBIOS: &[Field] = &[
    Field::string("uuid").optional().pattern(UUID),
    Field::string("version").optional().pattern(TEXT),
    Field::string("serial").optional().pattern(TEXT),
    Field::string("manufacturer").optional().pattern(TEXT),
    Field::string("product").optional().pattern(TEXT),
    Field::string("sku").optional().pattern(TEXT),
    Field::string("family").optional().pattern(TEXT),
    Field::boolean("base64").optional(),
];

/// The option `smbios1`: the system structure (type 1) of the SMBIOS tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Smbios {
    pub uuid: Option<String>,
    pub manufacturer: Option<String>,
    pub product: Option<String>,
    pub version: Option<String>,
    pub serial: Option<String>,
    pub sku: Option<String>,
    pub family: Option<String>,
    /// Whether the texts (not the uuid) are encoded in base64.
    pub base64: Option<bool>,
}

impl Smbios {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(SMBIOS, text)?;
        let owned = |key: &str| keys.text(key).map(str::to_owned);
        Ok(Self {
            uuid: owned("uuid"),
            manufacturer: owned("manufacturer"),
            product: owned("product"),
            version: owned("version"),
            serial: owned("serial"),
            sku: owned("sku"),
            family: owned("family"),
            base64: keys.flag("base64"),
        })
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        let uuid = self.uuid.as_ref().map(|uuid| ("uuid", uuid));
        for (key, text) in self.texts().into_iter().chain(uuid) {
            keys.set(SMBIOS, key, text.as_str());
        }
        if let Some(base64) = self.base64 {
            keys.set(SMBIOS, "base64", base64);
        }
        print_properties(SMBIOS, &keys)
    }

    /// The texts that are set, under QEMU's names, which are also the schema's.
    pub fn texts(&self) -> Vec<(&'static str, &String)> {
        let all = [
            ("manufacturer", &self.manufacturer),
            ("product", &self.product),
            ("version", &self.version),
            ("serial", &self.serial),
            ("sku", &self.sku),
            ("family", &self.family),
        ];
        all.into_iter()
            .filter_map(|(key, text)| text.as_ref().map(|text| (key, text)))
            .collect()
    }
}
