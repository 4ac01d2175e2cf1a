//! A package as the API shows it.

use node::host::packages::Package;
use serde_json::{Value, json};

pub(super) fn row(package: &Package) -> Value {
    let mut row = json!({
        "Package": package.name,
        "Title": package.title,
        "Description": package.description,
        "Version": package.version,
        "Arch": package.architecture,
        "Section": package.section,
        "Priority": package.priority,
        "Origin": package.origin,
    });
    if let Some(installed) = &package.installed {
        row["OldVersion"] = installed.as_str().into();
    }
    row
}
