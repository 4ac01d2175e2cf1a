//! `PUT /access/acl`

use auth::edit::acl::AclChange;
use auth::{SubjectKind, acl, edit};
use model::schema::format::split_list;
use model::{Error, FieldErrors};
use proto::wire::Answer;
use serde::Deserialize;

use super::Op;

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

pub(super) async fn acl_update(op: Op) -> Result<Answer, Error> {
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
