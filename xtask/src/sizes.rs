//! Functions over 70 lines and files over 1,000 need a reason.

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 1_000;

pub(crate) fn findings(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > FILE_LINES {
        findings.push(format!(
            "{name}: {} lines, {FILE_LINES} is the limit",
            lines.len()
        ));
    }
    for (at, line) in lines.iter().enumerate() {
        let Some(function) = function_name(line) else {
            continue;
        };
        let length = function_length(&lines[at..], line);
        if length > FUNCTION_LINES {
            findings.push(format!(
                "{name}: fn {function} has {length} lines, {FUNCTION_LINES} is the limit"
            ));
        }
    }
    findings
}

/// The name of the function that begins on a line of formatted code.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if rest.starts_with("pub(") {
        rest = rest.split_once(')')?.1.trim_start();
    }
    for word in ["pub ", "const ", "async ", "unsafe ", "extern \"C\" "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    Some(&rest[..rest.find(['(', '<']).unwrap_or(rest.len())])
}

/// Lines up to the closing brace at the indentation of the first one; up to the semicolon for a
/// function that is only declared.
fn function_length(lines: &[&str], first: &str) -> usize {
    let indent = first.len() - first.trim_start().len();
    let close = format!("{}}}", " ".repeat(indent));
    let opens = lines.iter().position(|line| line.contains('{'));
    let declares = lines.iter().position(|line| line.ends_with(';'));
    if declares < opens && declares.is_some() {
        return declares.map_or(1, |end| end + 1);
    }
    let end = lines.iter().position(|line| *line == close);
    end.map_or(1, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_is_named_with_its_length() {
        let text = format!(
            "impl A {{\n    pub async fn long(&self) {{\n{}    }}\n}}\n",
            "x;\n".repeat(80)
        );
        assert_eq!(
            findings("a.rs", &text),
            ["a.rs: fn long has 82 lines, 70 is the limit"]
        );
        assert!(findings("a.rs", "fn short() {\n}\n").is_empty());
        let declared = format!(
            "trait A {{\n    fn f(\n        &self,\n    );\n{}}}\n",
            "x;\n".repeat(80)
        );
        assert!(findings("a.rs", &declared).is_empty());
    }
}
