//! Code that the operations on API tokens share.

use auth::edit::tokens::TokenChange;
use auth::{Access, AccessError, Token};
use model::schema::format::split_list;
use model::{Error, TokenName, UnixTime, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

/// The fields of a token in answers.
pub(super) fn shown(token: &Token) -> Value {
    let mut row = json!({"expire": token.expire, "privsep": u8::from(token.privsep)});
    if !token.comment.is_empty() {
        row["comment"] = token.comment.as_str().into();
    }
    row
}

/// The same for a list.
pub(super) fn row(name: &TokenName, token: &Token) -> Value {
    let mut row = shown(token);
    row["tokenid"] = name.as_str().into();
    row
}

#[derive(Deserialize)]
pub(super) struct Params {
    pub(super) userid: UserId,
    pub(super) tokenid: TokenName,
    pub(super) comment: Option<String>,
    pub(super) expire: Option<UnixTime>,
    pub(super) privsep: Option<bool>,
    pub(super) delete: Option<String>,
    pub(super) regenerate: Option<bool>,
}

impl Params {
    pub(super) fn change(&self) -> Result<TokenChange, Error> {
        let mut change = TokenChange {
            comment: self.comment.clone(),
            expire: self.expire,
            privsep: self.privsep,
        };
        for option in split_list(self.delete.as_deref().unwrap_or_default()) {
            match option {
                "comment" if self.comment.is_none() => change.comment = Some(String::new()),
                "expire" if self.expire.is_none() => change.expire = Some(0),
                other => {
                    let reason = format!("option '{other}' cannot be deleted");
                    return Err(Error::invalid("delete", reason));
                }
            }
        }
        Ok(change)
    }

    /// Finds the token; if there is none, the error begins with its id.
    pub(super) fn token<'a>(&self, access: &'a Access) -> Result<&'a Token, Error> {
        let Self {
            userid, tokenid, ..
        } = self;
        if access.user(userid).is_none() {
            return Err(AccessError::NoUser(userid.clone()).into());
        }
        let missing = || AccessError::NoToken(userid.clone(), tokenid.clone()).into();
        access.token(userid, tokenid).ok_or_else(missing)
    }

    pub(super) fn label(&self) -> String {
        format!("{}!{}", self.userid, self.tokenid)
    }

    /// The request's values, as text as they were sent; `privsep` always.
    pub(super) fn info(&self) -> Value {
        let privsep = self.privsep.map(|flag| u8::from(flag).to_string());
        let mut info = json!({"privsep": privsep.map_or(Value::from(1), Value::from)});
        if let Some(comment) = &self.comment {
            info["comment"] = comment.as_str().into();
        }
        if let Some(expire) = self.expire {
            info["expire"] = expire.to_string().into();
        }
        info
    }
}
