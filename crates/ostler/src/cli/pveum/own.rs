//! Commands of `pveum` that are more than one operation.

use anyhow::Result;
use model::schema::{Field, Shape, Values, format};
use proto::Verb;
use serde_json::{Value, json};

use super::super::agent::{Agent, values};
use super::super::format::{Output, Style, plain_text, render};
use super::super::output;
use super::print;

const TFA: &str = "/access/tfa";
const TFA_USER: &str = "/access/tfa/{userid}";
const TFA_ENTRY: &str = "/access/tfa/{userid}/{id}";
const PERMISSIONS: &str = "/access/permissions";

const USERID: Field = Field::string("userid")
    .max_length(64)
    .format(format::USER_ID);

pub(super) const TFA_DELETE: &[Field] = &[USERID, Field::string("id").optional()];
pub(super) const TFA_LIST: &[Field] = &[USERID.optional()];
pub(super) const TOKEN_PERMISSIONS: &[Field] = &[
    USERID,
    Field::string("tokenid"),
    Field::string("path").optional(),
];

/// Removes one second factor, or all of a user.
pub(super) async fn tfa_delete(agent: Agent, given: Values) -> Result<()> {
    let userid = given["userid"].clone();
    let ids = match given.get("id") {
        Some(id) => vec![id.clone()],
        None => {
            let params = values([("userid", userid.clone())]);
            let entries = agent.at(Verb::Get, TFA_USER, params).await?.data;
            let entries = entries.as_array().into_iter().flatten();
            entries.map(|entry| entry["id"].clone()).collect()
        }
    };
    for id in ids {
        let params = values([("userid", userid.clone()), ("id", id)]);
        agent.at(Verb::Delete, TFA_ENTRY, params).await?;
    }
    Ok(())
}

/// The second factors of one user or of all, one per line.
pub(super) async fn tfa_list(agent: Agent, given: Values, style: Style) -> Result<()> {
    let rows = match given.get("userid") {
        Some(userid) => {
            let params = values([("userid", userid.clone())]);
            let entries = agent.at(Verb::Get, TFA_USER, params).await?.data;
            of_users(&json!([{"userid": userid, "entries": entries}]))
        }
        None => of_users(&agent.at(Verb::Get, TFA, Values::new()).await?.data),
    };
    output::print(&render(&style, &rows, &FACTORS)?)
}

const FACTORS: Shape = Shape::Array(&Shape::Object {
    fields: &[&[USERID, Field::string("id"), Field::string("type")]],
    open: true,
});

/// Every entry with its user.
fn of_users(users: &Value) -> Value {
    let users = users.as_array().into_iter().flatten();
    let rows = users.flat_map(|user| {
        let entries = user["entries"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|mut entry| {
            entry["userid"] = user["userid"].clone();
            entry
        })
    });
    rows.collect()
}

pub(super) async fn token_permissions(agent: Agent, given: Values, style: Style) -> Result<()> {
    let text = |name: &str| plain_text(&given[name]);
    let token = format!("{}!{}", text("userid"), text("tokenid"));
    let mut params = values([("userid", token.into())]);
    if let Some(path) = given.get("path") {
        params.insert("path".to_owned(), path.clone());
    }
    let data = agent.at(Verb::Get, PERMISSIONS, params).await?.data;
    if style.output == Output::Text && !style.quiet {
        return output::print(&print::permissions(&data, &style));
    }
    output::print(&render(&style, &data, &Shape::Any)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_listed_with_their_users() {
        let users = json!([
            {"userid": "a@pve", "entries": [{"id": "x", "type": "totp"}, {"id": "y", "type": "recovery"}]},
            {"userid": "b@pve", "entries": []},
        ]);
        let wanted = include_str!("../../../tests/golden/pveum-user-tfa-list.txt");
        let shown = render(&Style::default(), &of_users(&users), &FACTORS).unwrap();
        assert_eq!(shown, wanted);
    }
}
