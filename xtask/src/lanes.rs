//! Tests of the lab that other lanes would run: `./x test` leaves out what is in modules `lab_*`.

const MARK: &str = "#[ignore = \"needs the lab";

/// Tests outside the crate `lab` that need it and whose module has another name.
pub(crate) fn findings(name: &str, text: &str) -> Vec<String> {
    let is_named = |part: &str| part.starts_with("lab_");
    if name.starts_with("crates/lab/")
        || name.starts_with("xtask/")
        || name.split('/').any(is_named)
    {
        return Vec::new();
    }
    let mut module = None;
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        if line.starts_with('}') {
            module = None;
        } else if let Some(opened) = inner.strip_prefix("mod ") {
            module = opened.strip_suffix(" {").or(module);
        } else if inner.starts_with(MARK)
            && !module.is_some_and(|m| is_named(m) || m.starts_with('$'))
        {
            let line = at + 1;
            findings.push(format!(
                "{name}:{line}: a test of the lab is in a module lab_*, or ./x test runs it"
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_the_lab_are_in_modules_of_that_name() {
        let test = "    #[ignore = \"needs the lab: ./x lab test\"]\n";
        let said = |name: &str, text: &str| findings(name, text).len();
        assert_eq!(said("crates/lab/tests/real/a.rs", test), 0);
        assert_eq!(said("crates/a/tests/whole/lab_a.rs", test), 0);
        assert_eq!(said("crates/a/tests/whole/a.rs", test), 1);
        let inner = format!("mod lab_a {{\n{test}}}\n");
        assert_eq!(said("crates/a/tests/a.rs", &inner), 0);
        assert_eq!(said("crates/a/tests/a.rs", &format!("{inner}{test}")), 1);
        assert_eq!(said("crates/a/tests/a.rs", &inner.replace("lab_", "")), 1);
    }
}
