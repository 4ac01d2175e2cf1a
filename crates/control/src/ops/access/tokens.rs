//! API tokens.

use auth::edit::tokens::TokenChange;
use auth::{Access, AccessError, Token, edit, new_token_secret};
use model::schema::format::split_list;
use model::{Error, TokenName, UnixTime, UserId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Op, check_user, guard_root};

/// A token as it is shown.
pub(super) fn shown(token: &Token) -> Value {
    let mut row = json!({"expire": token.expire, "privsep": u8::from(token.privsep)});
    if !token.comment.is_empty() {
        row["comment"] = token.comment.as_str().into();
    }
    row
}

/// The same in a list.
pub(super) fn row(name: &TokenName, token: &Token) -> Value {
    let mut row = shown(token);
    row["tokenid"] = name.as_str().into();
    row
}

#[derive(Deserialize)]
struct Owner {
    userid: UserId,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let Owner { userid } = op.params()?;
    let access = op.context.authority.access();
    if access.user(&userid).is_none() {
        return Err(Error::not_found(format!("no such user ('{userid}')")));
    }
    let rows = access
        .tokens_of(&userid)
        .map(|(name, token)| row(name, token));
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

#[derive(Deserialize)]
struct Params {
    userid: UserId,
    tokenid: TokenName,
    comment: Option<String>,
    expire: Option<UnixTime>,
    privsep: Option<bool>,
    delete: Option<String>,
    regenerate: Option<bool>,
}

impl Params {
    fn change(&self) -> Result<TokenChange, Error> {
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

    /// The token that is meant; otherwise the words begin with what is not there.
    fn token<'a>(&self, access: &'a Access) -> Result<&'a Token, Error> {
        let Self {
            userid, tokenid, ..
        } = self;
        if access.user(userid).is_none() {
            return Err(AccessError::NoUser(userid.clone()).into());
        }
        let missing = || AccessError::NoToken(userid.clone(), tokenid.clone()).into();
        access.token(userid, tokenid).ok_or_else(missing)
    }

    fn label(&self) -> String {
        format!("{}!{}", self.userid, self.tokenid)
    }

    /// What was asked for: values as they came, as text; `privsep` always.
    fn info(&self) -> Value {
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

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let access = op.context.authority.access();
    Ok(Answer::new(shown(params.token(&access)?)))
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    check_user(&op, &params.userid)?;
    let change = params.change()?;
    let (secret, kept) = new_token_secret();
    let revision = op
        .context
        .authority
        .change(|access| {
            edit::tokens::create(access, &params.userid, &params.tokenid, &change, &kept)
        })
        .await
        .map_err(|error| error.during("generating token failed"))?;
    let data = json!({"full-tokenid": params.label(), "info": params.info(), "value": secret});
    Ok(Answer::new(data).at(revision.0))
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    params.token(&op.context.authority.access())?;
    let change = params.change()?;
    let secret = params.regenerate.unwrap_or(false).then(new_token_secret);
    let kept = secret.as_ref().map(|(_, kept)| kept);
    let authority = &op.context.authority;
    let revision = authority
        .change(|access| {
            edit::tokens::update(access, &params.userid, &params.tokenid, &change, kept)
        })
        .await
        .map_err(|error| error.during("updating token info failed"))?;
    let access = authority.access();
    let gone = || Error::conflict(format!("token '{}' was removed meanwhile", params.label()));
    let token = access.token(&params.userid, &params.tokenid);
    let mut data = shown(token.ok_or_else(gone)?);
    if let Some(privsep) = params.privsep {
        // As it came.
        data["privsep"] = u8::from(privsep).to_string().into();
    }
    if let Some((secret, _)) = secret {
        data["full-tokenid"] = params.label().into();
        data["value"] = secret.into();
    }
    Ok(Answer::new(data).at(revision.0))
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    params.token(&op.context.authority.access())?;
    let revision = op
        .context
        .authority
        .change(|access| edit::tokens::delete(access, &params.userid, &params.tokenid))
        .await
        .map_err(|error| error.during("deleting token failed"))?;
    Ok(Answer::null().at(revision.0))
}
