//! When a guest starts and stops with its node: `order=1,up=30,down=60`.

use crate::schema::{Format, PropertyError};

/// A bare number is the order, as in `startup: 2`.
pub(crate) const STARTUP: Format = Format::named("pve-startup-order", |text| {
    Startup::parse(text)
        .map(|_| ())
        .map_err(|error| error.to_string())
});

/// The option `startup`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Startup {
    /// Low ones start first and stop last; guests without one come after all others.
    pub order: Option<u32>,
    /// How long to wait after starting this guest.
    pub up_seconds: Option<u32>,
    /// How long the guest may take to shut down.
    pub down_seconds: Option<u32>,
}

impl Startup {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let bad = || PropertyError::Syntax("unable to parse startup options".to_owned());
        let mut startup = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (key, digits) = part.split_once('=').unwrap_or(("order", part));
            if !digits.chars().all(|c| c.is_ascii_digit()) {
                return Err(bad());
            }
            let number = digits.parse().map_err(|_| bad())?;
            let field = match key {
                "order" => &mut startup.order,
                "up" => &mut startup.up_seconds,
                "down" => &mut startup.down_seconds,
                _ => return Err(bad()),
            };
            if field.replace(number).is_some() {
                return Err(bad());
            }
        }
        if startup == Self::default() {
            Err(bad())
        } else {
            Ok(startup)
        }
    }

    pub fn print(&self) -> String {
        let keys = [
            ("order", self.order),
            ("up", self.up_seconds),
            ("down", self.down_seconds),
        ];
        let given = keys
            .iter()
            .filter_map(|(key, number)| number.map(|number| format!("{key}={number}")));
        given.collect::<Vec<_>>().join(",")
    }
}
