//! `PUT /access/domains/{realm}`

use auth::edit;
use auth::edit::realms::RealmChange;
use model::schema::format::split_list;
use model::{Error, RealmId};
use proto::wire::Answer;
use serde::Deserialize;

use super::Op;

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
                // An option that cannot be set yet is never set.
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

pub(super) async fn domain_update(op: Op) -> Result<Answer, Error> {
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
