//! Decision records are named by numbers, so each has one of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const FOLDER: &str = "docs/decisions";

pub(crate) fn findings(root: &Path) -> Vec<String> {
    let Ok(reader) = fs::read_dir(root.join(FOLDER)) else {
        return vec![format!("{FOLDER}: cannot be read")];
    };
    let records = reader.flatten().map(|item| {
        let name = item.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(item.path()).unwrap_or_default();
        let title = text.lines().next().unwrap_or_default().to_owned();
        (name, title)
    });
    of_records(records.collect())
}

/// Each record is a file's name and its first line.
fn of_records(records: BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut before = None;
    for (name, title) in records {
        let number: Option<u32> = name
            .split('-')
            .next()
            .and_then(|digits| digits.parse().ok());
        let begin = number.map(|number| format!("# {number}. "));
        if !begin.is_some_and(|begin| title.starts_with(&begin)) {
            findings.push(format!("{FOLDER}/{name}: its title has another number"));
        }
        if number == before {
            findings.push(format!("{FOLDER}/{name}: another record has this number"));
        }
        before = number;
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_the_titles() {
        let of = |records: &[(&str, &str)]| {
            let records = records.iter();
            of_records(
                records
                    .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()))
                    .collect(),
            )
        };
        assert!(of(&[("0001-a.md", "# 1. A"), ("0002-b.md", "# 2. B")]).is_empty());
        let twice = of(&[("0007-a.md", "# 7. A"), ("0007-b.md", "# 7. B")]);
        assert_eq!(
            twice,
            ["docs/decisions/0007-b.md: another record has this number"]
        );
        let other = of(&[("0007-a.md", "# 8. A")]);
        assert_eq!(
            other,
            ["docs/decisions/0007-a.md: its title has another number"]
        );
    }
}
