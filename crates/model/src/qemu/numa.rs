//! A NUMA node of a guest: `cpus=0-1,memory=512,hostnodes=0,policy=bind`.

use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

const NUMBERS: &str = r"(?:\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*)";

pub(super) const NUMA: &[Field] = &[
    Field::string("cpus").pattern(NUMBERS),
    Field::string("hostnodes").optional().pattern(NUMBERS),
    Field::number("memory").optional(),
    Field::string("policy")
        .optional()
        .one_of(&["preferred", "bind", "interleave"]),
];

/// A range of numbers, both ends included.
pub type NumberRange = (u32, u32);

/// The options `numa0` to `numa7`.
#[derive(Debug, Clone, PartialEq)]
pub struct Numa(Properties);

impl Numa {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let numa = Self(parse_properties(NUMA, text)?);
        for key in ["cpus", "hostnodes"] {
            if numa.ranges(key).is_none() {
                let reason = "invalid range of numbers".to_owned();
                return Err(PropertyError::Keys(vec![(key.to_owned(), reason)]));
            }
        }
        Ok(numa)
    }

    pub fn print(&self) -> String {
        print_properties(NUMA, &self.0)
    }

    /// The processors of the guest that belong to it.
    pub fn cpus(&self) -> Vec<NumberRange> {
        self.ranges("cpus").unwrap_or_default()
    }

    /// The nodes of the host that its memory is taken from; empty for any.
    pub fn host_nodes(&self) -> Vec<NumberRange> {
        self.ranges("hostnodes").unwrap_or_default()
    }

    pub fn policy(&self) -> Option<&str> {
        self.0.text("policy")
    }

    pub fn memory_mib(&self) -> Option<u64> {
        self.0.number("memory").map(|number| number as u64)
    }

    fn ranges(&self, key: &str) -> Option<Vec<NumberRange>> {
        let text = self.0.text(key).unwrap_or_default();
        let parts = text.split(';').filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some((first, last))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_those_that_are_none_refused() {
        let numa = Numa::parse("cpus=0-1;3,hostnodes=0,memory=512,policy=bind").unwrap();
        assert_eq!(numa.cpus(), [(0, 1), (3, 3)]);
        assert_eq!(
            (numa.host_nodes(), numa.memory_mib()),
            (vec![(0, 0)], Some(512))
        );
        assert_eq!(Numa::parse(&numa.print()).unwrap(), numa);
        assert!(Numa::parse("cpus=3-1").is_err());
    }
}
