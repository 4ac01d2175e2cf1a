//! A network card: `virtio=BC:24:11:E2:6F:5F,bridge=vmbr0,rate=12.5`.

use crate::Vlans;
use crate::schema::{Field, Properties, PropertyError, format, parse_properties, print_properties};

const MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

const fn model(name: &'static str) -> Field {
    Field::key_alias(name, "model", "macaddr")
}

pub(super) const NET: &[Field] = &[
    Field::string("model")
        .one_of(MODELS)
        .unbuilt_values(&["ne2k_isa"])
        .default_key(),
    Field::string("macaddr")
        .optional()
        .format(format::MAC_ADDRESS),
    model("e1000"),
    model("e1000-82540em"),
    model("e1000-82544gc"),
    model("e1000-82545em"),
    model("e1000e"),
    model("i82551"),
    model("i82557b"),
    model("i82559er"),
    model("ne2k_isa"),
    model("ne2k_pci"),
    model("pcnet"),
    model("rtl8139"),
    model("virtio"),
    model("vmxnet3"),
    Field::string("bridge").optional().format(format::BRIDGE_ID),
    // Stored only; the firewall comes with an issue of its own.
    Field::boolean("firewall").optional(),
    Field::integer("tag").optional().range(1.0, 4094.0),
    Field::string("trunks")
        .optional()
        .pattern(r"(?:\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*)"),
    Field::boolean("link_down").optional(),
    Field::integer("mtu").optional().range(1.0, 65520.0),
    Field::integer("queues").optional().range(0.0, 64.0),
    Field::number("rate").optional().min(0.0),
];

/// A model of network card, by its name in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetModel(&'static str);

impl NetModel {
    pub const VIRTIO: Self = Self("virtio");

    pub fn from_name(name: &str) -> Option<Self> {
        MODELS
            .iter()
            .find(|model| **model == name)
            .map(|model| Self(model))
    }

    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// QEMU's name for the device.
    pub fn driver(self) -> &'static str {
        if self == Self::VIRTIO {
            "virtio-net-pci"
        } else {
            self.0
        }
    }
}

/// A network card and its bridge.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    pub model: NetModel,
    /// Upper case, six octets. Only a request may leave it out; one is then generated.
    pub mac: Option<String>,
    pub bridge: Option<String>,
    pub firewall: Option<bool>,
    pub link_down: Option<bool>,
    /// 1: the bridge's MTU.
    pub mtu: Option<u16>,
    pub queues: Option<u8>,
    /// MiB per second, in each direction.
    pub rate: Option<f64>,
    /// The VLAN of untagged traffic.
    pub tag: Option<u16>,
    /// The VLANs that pass tagged, e.g. `2;10-20`.
    pub trunks: Option<String>,
}

impl Net {
    /// Whether the guest sees the same card; the bridge may differ.
    pub fn is_same_card(&self, other: &Self) -> bool {
        self.model == other.model
            && self.mac == other.mac
            && self.queues == other.queues
            && self.mtu == other.mtu
            && self.bridge.is_some() == other.bridge.is_some()
    }

    /// The VLANs of the card's port.
    pub fn vlans(&self) -> Vlans {
        Vlans::of(self.tag, self.trunks.as_deref())
    }

    /// A card of this model with defaults.
    pub fn new(model: NetModel) -> Self {
        Self {
            model,
            mac: None,
            bridge: None,
            firewall: None,
            link_down: None,
            mtu: None,
            queues: None,
            rate: None,
            tag: None,
            trunks: None,
        }
    }

    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(NET, text)?;
        let model = keys.text("model").and_then(NetModel::from_name);
        let mut net = Self::new(
            model
                .ok_or_else(|| PropertyError::Syntax("a network card needs a model".to_owned()))?,
        );
        let owned = |key: &str| keys.text(key).map(str::to_owned);
        net.mac = keys.text("macaddr").map(str::to_ascii_uppercase);
        net.bridge = owned("bridge");
        net.firewall = keys.flag("firewall");
        net.link_down = keys.flag("link_down");
        net.mtu = keys.integer("mtu").and_then(|n| u16::try_from(n).ok());
        net.queues = keys.integer("queues").and_then(|n| u8::try_from(n).ok());
        net.rate = keys.number("rate");
        net.tag = keys.integer("tag").and_then(|n| u16::try_from(n).ok());
        net.trunks = owned("trunks");
        Ok(net)
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        keys.set(NET, "model", self.model.as_str());
        let mut text = |key: &str, value: &Option<String>| {
            if let Some(value) = value {
                keys.set(NET, key, value.as_str());
            }
        };
        text("macaddr", &self.mac);
        text("bridge", &self.bridge);
        text("trunks", &self.trunks);
        let flags = [("firewall", self.firewall), ("link_down", self.link_down)];
        for (key, flag) in flags {
            flag.into_iter().for_each(|flag| keys.set(NET, key, flag));
        }
        let numbers = [
            ("mtu", self.mtu),
            ("queues", self.queues.map(u16::from)),
            ("tag", self.tag),
        ];
        for (key, number) in numbers {
            number
                .into_iter()
                .for_each(|number| keys.set(NET, key, number));
        }
        if let Some(rate) = self.rate {
            // `12` and not `12.0`, as the caller wrote it.
            let whole = rate as i64;
            let exact = whole as f64 == rate;
            let value = if exact {
                whole.into()
            } else {
                serde_json::Value::from(rate)
            };
            keys.set(NET, "rate", value);
        }
        print_properties(NET, &keys)
    }
}
