//! A source of random numbers for the guest: `/dev/urandom,max_bytes=1024,period=1000`.

use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

pub(super) const RNG: &[Field] = &[
    Field::string("source")
        .one_of(&["/dev/urandom", "/dev/random", "/dev/hwrng"])
        .default_key(),
    Field::integer("max_bytes").optional().default("1024"),
    Field::integer("period").optional().default("1000"),
];

/// The option `rng0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng {
    /// The device on the host.
    pub source: String,
    /// How many bytes the guest gets per period; 0 for no limit.
    pub bytes_max: Option<u32>,
    pub period_ms: Option<u32>,
}

impl Rng {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(RNG, text)?;
        let number = |key: &str| match keys.integer(key).map(u32::try_from) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => {
                let reason = "value must have a minimum value of 0".to_owned();
                Err(PropertyError::Keys(vec![(key.to_owned(), reason)]))
            }
        };
        Ok(Self {
            source: keys.text("source").unwrap_or("/dev/urandom").to_owned(),
            bytes_max: number("max_bytes")?,
            period_ms: number("period")?,
        })
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        keys.set(RNG, "source", self.source.as_str());
        for (key, number) in [("max_bytes", self.bytes_max), ("period", self.period_ms)] {
            number
                .into_iter()
                .for_each(|number| keys.set(RNG, key, number));
        }
        print_properties(RNG, &keys)
    }
}
