//! Realms.

use auth::edit;
use auth::edit::realms::RealmChange;
use model::schema::format::split_list;
use model::{Error, RealmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let realms = op.context.authority.access().realms();
    let rows = realms.iter().map(|(id, realm)| {
        let mut row = json!({"realm": id.as_str(), "type": realm.kind.as_str()});
        if let Some(comment) = &realm.comment {
            row["comment"] = comment.as_str().into();
        }
        if realm.default {
            row["default"] = 1.into();
        }
        row
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

#[derive(Deserialize)]
struct Create {
    realm: RealmId,
    #[serde(rename = "type")]
    kind: String,
}

/// The schema refuses all types but the built-in ones, and there is one realm of each.
pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let create: Create = op.params()?;
    let reason = match op.context.authority.access().realm(create.realm.as_str()) {
        Some(_) => format!("domain '{}' already exists", create.realm),
        None => format!("unable to create builtin type '{}'", create.kind),
    };
    Err(Error::conflict(format!("add auth server failed: {reason}")))
}

#[derive(Deserialize)]
struct Named {
    realm: RealmId,
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Named { realm } = op.params()?;
    let done = op
        .context
        .authority
        .change(|access| edit::realms::delete(access, &realm))
        .await;
    let revision = done.map_err(|error| error.during("delete auth server failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Named { realm: id } = op.params()?;
    let access = op.context.authority.access();
    let missing = || Error::not_found(format!("domain '{id}' does not exist"));
    let realm = access.realm(id.as_str()).ok_or_else(missing)?;
    let mut data = json!({"type": realm.kind.as_str(), "digest": edit::realms::digest(&access)});
    if let Some(comment) = realm.comment {
        data["comment"] = comment.into();
    }
    if realm.default {
        data["default"] = 1.into();
    }
    Ok(Answer::new(data))
}

#[derive(Deserialize)]
struct Update {
    realm: RealmId,
    comment: Option<String>,
    default: Option<bool>,
    delete: Option<String>,
    digest: Option<String>,
}

impl Update {
    fn change(&self) -> Result<RealmChange, Error> {
        let mut change = RealmChange {
            comment: self.comment.clone().map(Some),
            default: self.default,
        };
        for option in split_list(self.delete.as_deref().unwrap_or_default()) {
            match option {
                "comment" if self.comment.is_none() => change.comment = Some(None),
                "default" if self.default.is_none() => change.default = Some(false),
                "comment" | "default" => {
                    let reason = format!("unable to set and delete '{option}' at the same time");
                    return Err(Error::invalid("delete", reason));
                }
                // It is not set: what cannot be set yet never is.
                other
                    if proto::table::REALM_OPTIONS
                        .iter()
                        .any(|field| field.name == other) => {}
                other => {
                    return Err(Error::invalid(
                        "delete",
                        format!("unknown option '{other}'"),
                    ));
                }
            }
        }
        Ok(change)
    }
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let update: Update = op.params()?;
    if op
        .params
        .keys()
        .all(|name| name == "realm" || name == "digest")
    {
        let text = "update auth server failed: no options specified";
        return Err(Error::conflict(text));
    }
    let change = update.change()?;
    let digest = update.digest.as_deref();
    let done = op
        .context
        .authority
        .change(|access| edit::realms::update(access, &update.realm, &change, digest))
        .await;
    let revision = done.map_err(|error| error.during("update auth server failed"))?;
    Ok(Answer::null().at(revision.0))
}
