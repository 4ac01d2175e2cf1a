//! The memory figures that a guest reports through the balloon.

use serde_json::Value;

/// The guest's own figures, in bytes, as far as it reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStatistics {
    /// In seconds since 1970; 0 for never.
    pub last_update: i64,
    pub total: Option<u64>,
    pub free: Option<u64>,
    pub major_faults: Option<u64>,
    pub minor_faults: Option<u64>,
    pub swapped_in: Option<u64>,
    pub swapped_out: Option<u64>,
}

/// Reads the property `guest-stats` of a balloon. A missing figure has all bits set.
pub(super) fn memory_statistics(answer: &Value) -> MemoryStatistics {
    let told = |name: &str| {
        let figure = answer["stats"][format!("stat-{name}")].as_u64();
        figure.filter(|figure| *figure != u64::MAX)
    };
    MemoryStatistics {
        last_update: answer["last-update"].as_i64().unwrap_or(0),
        total: told("total-memory"),
        free: told("free-memory"),
        major_faults: told("major-faults"),
        minor_faults: told("minor-faults"),
        swapped_in: told("swap-in"),
        swapped_out: told("swap-out"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_told_is_not_known() {
        let answer = json!({"last-update": 7, "stats": {
            "stat-total-memory": 100, "stat-free-memory": 40, "stat-swap-in": u64::MAX,
        }});
        let known = memory_statistics(&answer);
        assert_eq!(
            (known.last_update, known.total, known.free),
            (7, Some(100), Some(40))
        );
        assert_eq!((known.swapped_in, known.major_faults), (None, None));
        assert_eq!(memory_statistics(&json!({})), MemoryStatistics::default());
    }
}
