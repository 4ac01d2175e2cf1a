//! `GET /nodes/{node}/apt/repositories`

use model::Error;
use node::host::packages::repositories::{self, File, Form, Repository};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn repositories(op: Op) -> Result<Answer, Error> {
    let found = repositories::repositories(&op.context.node.host).await?;
    let infos: Vec<Value> = found.files.iter().flat_map(origins).collect();
    let error =
        |(path, reason): &(std::path::PathBuf, String)| json!({"path": path, "error": reason});
    Ok(Answer::new(json!({
        "digest": found.digest(),
        "files": found.files.iter().map(file).collect::<Vec<_>>(),
        "errors": found.errors.iter().map(error).collect::<Vec<_>>(),
        "infos": infos,
        // Proxmox's repositories are not for this product, and it has none of its own.
        "standard-repos": [],
    })))
}

fn file(file: &File) -> Value {
    let repositories: Vec<Value> = file
        .repositories
        .iter()
        .map(|repository| entry(repository, file.form))
        .collect();
    json!({
        "path": file.path,
        "file-type": file.form.as_str(),
        "digest": file.digest,
        "repositories": repositories,
    })
}

fn entry(repository: &Repository, form: Form) -> Value {
    let mut entry = json!({
        "FileType": form.as_str(),
        "Enabled": u8::from(repository.enabled),
        "Types": repository.types,
        "URIs": repository.uris,
        "Suites": repository.suites,
    });
    if !repository.components.is_empty() {
        entry["Components"] = json!(repository.components);
    }
    if !repository.options.is_empty() {
        let option = |(key, values): &(String, Vec<String>)| json!({"Key": key, "Values": values});
        entry["Options"] = repository.options.iter().map(option).collect();
    }
    if !repository.comment.is_empty() {
        entry["Comment"] = repository.comment.as_str().into();
    }
    entry
}

/// The origins of a file's repositories.
fn origins(file: &File) -> Vec<Value> {
    let numbered = file.repositories.iter().enumerate();
    let origin = |(index, repository): (usize, &Repository)| {
        let origin = repository.origin()?;
        Some(json!({"path": file.path, "index": index, "kind": "origin", "message": origin}))
    };
    numbered.filter_map(origin).collect()
}
