//! The output of `pvesm`, in the format that scripts parse.

use serde_json::Value;

use super::super::format::plain_text;

const KIB: u64 = 1024;

/// Storages by name, with their usage.
pub(super) fn status(data: &Value) -> String {
    let mut storages: Vec<(String, &Value)> = data
        .as_array()
        .into_iter()
        .flatten()
        .map(|storage| (plain_text(&storage["storage"]), storage))
        .collect();
    storages.sort_by(|(a, _), (b, _)| a.cmp(b));
    let names = storages.iter().map(|(name, _)| name.len());
    let width = names.max().unwrap_or(0) + 1;
    let mut text = format!(
        "{:<width$} {:>10} {:>10} {:>15} {:>15} {:>15} {:>8}\n",
        "Name", "Type", "Status", "Total (KiB)", "Used (KiB)", "Available (KiB)", "%"
    );
    for (name, storage) in storages {
        let kib = |field: &str| storage[field].as_u64().unwrap_or(0) / KIB;
        let (state, share) = state(storage);
        text.push_str(&format!(
            "{name:<width$} {:>10} {state:>10} {:>15} {:>15} {:>15} {share:>8}\n",
            plain_text(&storage["type"]),
            kib("total"),
            kib("used"),
            kib("avail"),
        ));
    }
    text
}

fn state(storage: &Value) -> (&'static str, String) {
    let is = |field: &str| plain_text(&storage[field]) == "1";
    if !is("enabled") {
        return ("disabled", "N/A".to_owned());
    }
    let bytes = |field: &str| storage[field].as_f64().unwrap_or(0.0);
    let share = match bytes("total") {
        total if total > 0.0 => bytes("used") * 100.0 / total,
        _ => 0.0,
    };
    let state = if is("active") { "active" } else { "inactive" };
    (state, format!("{share:.2}%"))
}

pub(super) fn shares(data: &Value) -> String {
    columns(data, &["share", "description"])
}

pub(super) fn targets(data: &Value) -> String {
    columns(data, &["target", "portal"])
}

pub(super) fn groups(data: &Value) -> String {
    columns(data, &["vg"])
}

pub(super) fn thin_pools(data: &Value) -> String {
    columns(data, &["lv"])
}

pub(super) fn exports(data: &Value) -> String {
    columns(data, &["path", "options"])
}

pub(super) fn datasets(data: &Value) -> String {
    columns(data, &["pool"])
}

/// Fields of each row, the first as wide as the widest, sorted by it.
fn columns(data: &Value, fields: &[&str]) -> String {
    let cells = |row: &Value| -> Vec<String> {
        fields
            .iter()
            .map(|field| plain_text(&row[*field]))
            .collect()
    };
    let mut rows: Vec<Vec<String>> = data.as_array().into_iter().flatten().map(cells).collect();
    rows.sort();
    let widest = rows
        .iter()
        .filter_map(|row| row.first())
        .map(String::len)
        .max();
    let mut text = String::new();
    for row in rows {
        let (first, rest) = row
            .split_first()
            .map_or(("", &[][..]), |(first, rest)| (first, rest));
        let line = format!(
            "{first:<width$} {}",
            rest.join(" "),
            width = widest.unwrap_or(0)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Volumes of a storage, with their sizes in bytes.
pub(super) fn volumes(data: &Value) -> String {
    let cells = |volume: &Value| {
        ["volid", "format", "content", "size", "vmid"].map(|field| plain_text(&volume[field]))
    };
    let rows: Vec<[String; 5]> = data.as_array().into_iter().flatten().map(cells).collect();
    let widest = |at: usize| rows.iter().map(|row| row[at].len()).max().unwrap_or(0);
    let (name, size) = (widest(0), widest(3));
    let header = ["Volid", "Format", "Type", "Size", "VMID"].map(str::to_owned);
    let mut text = String::new();
    for [volid, format, content, bytes, vmid] in std::iter::once(&header).chain(&rows) {
        let line = format!("{volid:<name$} {format:<7} {content:<9} {bytes:>size$} {vmid}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn allocated(volume: &Value) -> String {
    format!("successfully created '{}'\n", plain_text(volume))
}

pub(super) fn path(volume: &Value) -> String {
    format!("{}\n", plain_text(&volume["path"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn storages_are_columns_that_scripts_cut() {
        let data = json!([
            {"storage": "nfs-backup", "type": "nfs", "enabled": 1, "active": 0, "total": 0,
             "used": 0, "avail": 0},
            {"storage": "local", "type": "dir", "enabled": 1, "active": 1,
             "total": 100861726720u64, "used": 14626652160u64, "avail": 81064341504u64},
            {"storage": "old", "type": "dir", "enabled": 0, "active": 0},
        ]);
        assert_eq!(
            status(&data),
            include_str!("../../../tests/golden/pvesm-status.txt")
        );
    }

    #[test]
    fn volumes_have_sizes_in_bytes() {
        let data = json!([
            {"volid": "local:iso/debian.iso", "format": "iso", "content": "iso",
             "size": 659554304},
            {"volid": "local:100/vm-100-disk-0.qcow2", "format": "qcow2", "content": "images",
             "size": 34359738368u64, "vmid": 100},
        ]);
        assert_eq!(
            volumes(&data),
            include_str!("../../../tests/golden/pvesm-list.txt")
        );
    }

    #[test]
    fn a_volume_is_told_by_name_and_place() {
        let wanted = "successfully created 'local:100/vm-100-disk-1.raw'\n";
        assert_eq!(allocated(&json!("local:100/vm-100-disk-1.raw")), wanted);
        assert_eq!(path(&json!({"path": "/a/b", "size": 1})), "/a/b\n");
    }
}
