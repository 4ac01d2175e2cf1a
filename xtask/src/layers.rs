//! A crate depends only on crates of a lower layer (ARCHITECTURE.md, "Layers").

use std::fs;
use std::path::Path;

const LAYERS: [(&str, u8); 16] = [
    ("model", 0),
    ("sys", 1),
    ("planner", 1),
    ("store", 2),
    ("proto", 2),
    ("auth", 3),
    ("tasks", 3),
    ("guest", 3),
    ("storage", 3),
    ("network", 3),
    ("history", 3),
    ("vncterm", 3),
    ("node", 4),
    ("control", 5),
    ("http", 5),
    ("ostler", 6),
];

/// May be used by tests of every layer and by each other, and by nothing else.
const FOR_TESTS: [&str; 3] = ["testkit", "lab", "lab-agent"];

fn layer(name: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, layer)| *layer)
}

pub(crate) fn findings(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    let Ok(reader) = fs::read_dir(root.join("crates")) else {
        return vec!["crates: cannot be listed".to_owned()];
    };
    let mut folders: Vec<_> = reader.flatten().map(|item| item.path()).collect();
    folders.sort();
    for folder in folders {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if !FOR_TESTS.contains(&name.as_str()) {
            findings.extend(check(&name, &manifest));
        }
    }
    findings
}

fn check(name: &str, manifest: &str) -> Vec<String> {
    let place = format!("crates/{name}/Cargo.toml");
    let Some(own) = layer(name) else {
        return vec![format!(
            "{place}: the crate has no layer in xtask/src/layers.rs"
        )];
    };
    let mut findings = Vec::new();
    for dependency in dependencies(manifest) {
        if FOR_TESTS.contains(&dependency) {
            findings.push(format!("{place}: {dependency} is for tests only"));
        }
        if layer(dependency).is_some_and(|other| other >= own) {
            findings.push(format!("{place}: {name} may not depend on {dependency}"));
        }
    }
    findings
}

/// The names under `[dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.split(['.', '=', ' ']).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_and_higher_layers_are_refused() {
        let manifest = "[dependencies]\nmodel.workspace = true\nauth = { path = \"x\" }\n\
                        [dev-dependencies]\ntestkit.workspace = true\n";
        assert_eq!(
            check("tasks", manifest),
            ["crates/tasks/Cargo.toml: tasks may not depend on auth"]
        );
        assert_eq!(check("node", manifest), Vec::<String>::new());
    }
}
