//! The access control list.

use auth::edit::acl::AclChange;
use auth::{SubjectKind, View, acl, edit};
use model::schema::format::split_list;
use model::{Error, FieldErrors, Privilege};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Op;

/// Shows all entries to whoever audits `/access`, else those of paths that the caller manages.
pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let authority = &op.context.authority;
    let access = authority.access();
    let view = access.view(op.identity()?, authority.now());
    let audits = view.has("/access", Privilege::SysAudit);
    let shown = |view: &View<'_>, path: &str| audits || view.check_modify_acl(path).is_ok();
    let mut rows: Vec<Value> = Vec::new();
    for (path, node) in access.acl().filter(|(path, _)| shown(&view, path)) {
        rows.extend(node.entries.iter().map(|entry| {
            json!({
                "path": path,
                "type": entry.kind.as_str(),
                "ugid": entry.id,
                "roleid": entry.role,
                "propagate": u8::from(entry.propagate),
            })
        }));
    }
    Ok(Answer::new(rows))
}

#[derive(Deserialize)]
struct Update {
    path: String,
    roles: String,
    users: Option<String>,
    groups: Option<String>,
    tokens: Option<String>,
    propagate: Option<bool>,
    delete: Option<bool>,
}

impl Update {
    fn subjects(&self) -> Vec<(SubjectKind, String)> {
        let of = |kind: SubjectKind, list: &Option<String>| -> Vec<(SubjectKind, String)> {
            let list = list.as_deref().unwrap_or_default();
            split_list(list).map(|id| (kind, id.to_owned())).collect()
        };
        let mut subjects = of(SubjectKind::User, &self.users);
        subjects.extend(of(SubjectKind::Group, &self.groups));
        subjects.extend(of(SubjectKind::Token, &self.tokens));
        subjects
    }
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    let invalid = || Error::invalid("path", format!("invalid ACL path '{}'", update.path));
    let path = acl::normalize(&update.path).ok_or_else(invalid)?;
    let subjects = update.subjects();
    if subjects.is_empty() {
        let reason = "either 'users', 'groups' or 'tokens' is required.";
        let fields = ["users", "groups", "tokens"].map(|name| (name.into(), reason.into()));
        return Err(Error::invalid_fields(FieldErrors::from(fields)));
    }
    let change = AclChange {
        path,
        roles: split_list(&update.roles).map(str::to_owned).collect(),
        subjects,
        propagate: update.propagate.unwrap_or(true),
        delete: update.delete.unwrap_or(false),
    };
    let (who, authority) = (op.identity()?, &op.context.authority);
    let done = authority
        .change(|access| edit::acl::change(access, &change, &access.view(who, authority.now())))
        .await;
    let revision = done.map_err(|error| error.during("ACL update failed"))?;
    Ok(Answer::null().at(revision.0))
}
