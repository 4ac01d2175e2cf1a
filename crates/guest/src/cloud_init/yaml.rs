//! Texts as YAML scalars.

/// A text as a scalar on one line: plain if every reader takes it for text, quoted otherwise.
pub(super) fn scalar(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./+=@$ ".contains(c);
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || "$/".contains(c));
    let is_bare = begins_well && !text.ends_with(' ') && text.chars().all(is_word);
    // YAML 1.1 reads these as other types than text, in upper and lower case.
    let reserved = ["y", "n", "yes", "no", "true", "false", "on", "off", "null"];
    if is_bare && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        // Every JSON string is a YAML scalar.
        serde_json::Value::from(text).to_string()
    }
}

/// In single quotes, like the values of a network configuration.
pub(super) fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_is_quoted() {
        let cases = [
            ("web", "web"),
            ("$5$salt$abc./", "$5$salt$abc./"),
            ("ssh-ed25519 AAAA+/= me@here", "ssh-ed25519 AAAA+/= me@here"),
            ("no", "\"no\""),
            ("1e3", "\"1e3\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("", "\"\""),
            ("x\ny", "\"x\\ny\""),
        ];
        for (text, wanted) in cases {
            assert_eq!(scalar(text), wanted);
        }
        assert_eq!(single_quoted("it's"), "'it''s'");
    }
}
