//! One operation one file: the function of a row, and its task, are in files named as the row.

use std::path::Path;

/// The folder of operations.
const OPERATIONS: &str = "crates/control/src/ops/";

/// The file that registers tasks.
const TASKS: &str = "crates/node/src/tasks/mod.rs";

/// The operations and tasks of a file that are not in the file of their name.
pub(crate) fn findings(root: &Path, name: &str, text: &str) -> Vec<String> {
    if name == TASKS {
        return misplaced_tasks(&root.join("crates/node/src/tasks"), text);
    }
    if !name.starts_with(OPERATIONS) {
        return Vec::new();
    }
    pairs(text)
        .filter(|(row, path)| !is_named_as(row, path))
        .map(|(row, path)| format!("{name}: operation '{row}' is {path}, not in a file of its own"))
        .collect()
}

/// The rows of a file's tables, each with the path of its function.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("pair!(").skip(1).filter_map(|rest| {
        let (arguments, _) = rest.split_once(')')?;
        let (row, path) = arguments.split_once(',')?;
        let row = row.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some((row, path.trim().trim_end_matches(',').trim_end()))
    })
}

/// `qemu_start` is `start::start`. A row's stream is `open` in the same file; a row that is the
/// same operation by another path ends with `_by_path`.
fn is_named_as(row: &str, path: &str) -> bool {
    let row = row.strip_suffix("_by_path").unwrap_or(row);
    // One function may be the operation of several kinds: `list::list::<Pci>`.
    let path = path.split("::<").next().unwrap_or(path);
    let Some((module, function)) = path.rsplit_once("::") else {
        return false;
    };
    let module = module.rsplit("::").next().unwrap_or(module);
    let of_its_resource = row.ends_with(&format!("_{module}"));
    let of_its_kind = row.starts_with(&format!("{module}_"));
    (row == module || of_its_resource || of_its_kind) && (function == module || function == "open")
}

/// `QemuStart` is registered and is in `qemu_start.rs`.
fn misplaced_tasks(folder: &Path, text: &str) -> Vec<String> {
    let registered = text.split(".with::<").skip(1);
    let types = registered.filter_map(|rest| rest.split_once('>').map(|(name, _)| name));
    types
        .filter(|name| !folder.join(format!("{}.rs", snake_case(name))).exists())
        .map(|name| format!("{TASKS}: task '{name}' is not in {}.rs", snake_case(name)))
        .collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_among_others_is_found() {
        let table = concat!(
            "pair!(\"qemu_start\", start::start),\n",
            "stream_pair!(\"volume_upload\", volume_upload::open),\n",
            "pair!(\"pool_delete_by_path\", delete::delete),\n",
            "pair!(\n    \"lxc_rrddata\",\n    lxc::lxc,\n),\n",
            "pair!(\"mapping_pci_list\", list::list::<Pci>),\n",
            "pair!(\"qemu_reset\", power::reset),\n",
            "pair!(\"user_list\", list),\n",
        );
        let name = "crates/control/src/ops/qemu/mod.rs";
        assert_eq!(
            findings(Path::new("/"), name, table),
            [
                format!("{name}: operation 'qemu_reset' is power::reset, not in a file of its own"),
                format!("{name}: operation 'user_list' is list, not in a file of its own"),
            ]
        );
    }

    #[test]
    fn a_task_without_a_file_is_found() {
        let text = "Registry::default().with::<QemuStart>()";
        assert_eq!(
            findings(Path::new("/nowhere"), TASKS, text),
            [format!("{TASKS}: task 'QemuStart' is not in qemu_start.rs")]
        );
    }
}
