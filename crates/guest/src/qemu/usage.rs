//! Disk I/O of a guest.

use serde_json::Value;

/// Bytes since the guest was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    pub read: u64,
    pub written: u64,
}

/// Sums the answer of `query-blockstats` over all devices. An unexpected value counts as 0, since
/// statistics are not worth failing for.
pub fn disk_usage(blockstats: &Value) -> DiskUsage {
    let mut usage = DiskUsage::default();
    // With no `query-nodes` every entry is a device, so nothing is counted twice.
    for device in blockstats.as_array().into_iter().flatten() {
        let figure = |name: &str| device["stats"][name].as_u64().unwrap_or(0);
        usage.read = usage.read.saturating_add(figure("rd_bytes"));
        usage.written = usage.written.saturating_add(figure("wr_bytes"));
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_of_all_devices_are_added() {
        let answer = json!([
            {"qdev": "/machine/peripheral/scsi0", "stats": {"rd_bytes": 512, "wr_bytes": 7}},
            {"device": "", "stats": {"rd_bytes": 1, "wr_bytes": 2, "new_figure": 3}},
            {"stats": {"rd_bytes": -1}},
            {},
        ]);
        assert_eq!(
            disk_usage(&answer),
            DiskUsage {
                read: 513,
                written: 9
            }
        );
        assert_eq!(disk_usage(&json!({"error": 1})), DiskUsage::default());
    }
}
