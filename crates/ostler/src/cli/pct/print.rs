//! The output of `pct`, in the format that scripts parse.

use serde_json::Value;

use super::super::format::plain_text;

/// The containers of a node, by number.
pub(super) fn list(data: &Value) -> String {
    let columns = ["VMID", "Status", "Lock", "Name"];
    let mut guests: Vec<&Value> = data.as_array().into_iter().flatten().collect();
    if guests.is_empty() {
        return String::new();
    }
    guests.sort_by_key(|guest| guest["vmid"].as_u64());
    let line = |[vmid, status, lock, name]: [&str; 4]| {
        let text = format!("{vmid:<10} {status:<10} {lock:<12} {name:<20}");
        format!("{}\n", text.trim_end())
    };
    let mut text = line(columns);
    for guest in guests {
        let field = |name: &str| plain_text(&guest[name]);
        let lock = match &guest["lock"] {
            Value::String(lock) => lock.clone(),
            _ => String::new(),
        };
        text.push_str(&line([
            &field("vmid"),
            &field("status"),
            &lock,
            &field("name"),
        ]));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_are_listed_by_number() {
        let guests = json!([
            {"vmid": 201, "status": "running", "name": "web"},
            {"vmid": 200, "status": "stopped", "name": "db", "lock": "backup"},
        ]);
        let expected = "VMID       Status     Lock         Name\n\
                        200        stopped    backup       db\n\
                        201        running                 web\n";
        assert_eq!(list(&guests), expected);
        assert_eq!(list(&json!([])), "");
    }
}
