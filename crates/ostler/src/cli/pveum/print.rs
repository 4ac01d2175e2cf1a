//! The output of `pveum`, in the format that scripts parse.

use serde_json::Value;

use super::super::format::{Style, Table, plain_text};

/// The privileges by path; those that propagate have a star.
pub(super) fn permissions(data: &Value, style: &Style) -> String {
    let mut table = Table::new(["ACL path", "Permissions"]);
    let mut paths: Vec<(&String, &Value)> = data.as_object().into_iter().flatten().collect();
    paths.sort_by_key(|(path, _)| *path);
    for (path, privileges) in paths {
        let mut names: Vec<String> = privileges
            .as_object()
            .into_iter()
            .flatten()
            .map(
                |(name, reaches_below)| match plain_text(reaches_below).as_str() {
                    "1" => format!("{name} (*)"),
                    _ => name.clone(),
                },
            )
            .collect();
        names.sort();
        table.row([path.clone(), names.join("\n")]);
    }
    let note = "Permissions marked with '(*)' have the 'propagate' flag set.\n";
    table.print(style) + note
}

pub(super) fn ticket(data: &Value) -> String {
    format!("{}\n", plain_text(&data["ticket"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn permissions_are_a_table_with_stars() {
        let data = json!({
            "/vms": {"VM.PowerMgmt": 1, "VM.Audit": 1},
            "/": {"Sys.Audit": 0},
        });
        let wanted = include_str!("../../../tests/golden/pveum-user-permissions.txt");
        assert_eq!(permissions(&data, &Style::default()), wanted);
    }

    #[test]
    fn a_ticket_stands_alone() {
        assert_eq!(
            ticket(&json!({"ticket": "PVE:a@pve:1::x", "username": "a@pve"})),
            "PVE:a@pve:1::x\n"
        );
    }
}
