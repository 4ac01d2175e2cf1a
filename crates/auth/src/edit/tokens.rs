//! API tokens.

use model::{Record, TokenName, UnixTime, UserId};

use super::{Edit, names, readable};
use crate::acl::Access;
use crate::authority::TokenSecret;
use crate::error::AccessError;
use crate::keys;
use crate::records::{SubjectKind, Token};
use crate::secret::random_number;

/// The fields to change; None leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct TokenChange {
    pub comment: Option<String>,
    pub expire: Option<UnixTime>,
    pub privsep: Option<bool>,
}

impl TokenChange {
    fn apply(&self, token: &mut Token) {
        if let Some(comment) = &self.comment {
            token.comment.clone_from(comment);
        }
        token.expire = self.expire.unwrap_or(token.expire);
        token.privsep = self.privsep.unwrap_or(token.privsep);
    }
}

pub fn create(
    access: &Access,
    user: &UserId,
    name: &TokenName,
    change: &TokenChange,
    secret: &TokenSecret,
) -> Result<Edit, AccessError> {
    if access.user(user).is_none() {
        return Err(AccessError::NoUser(user.clone()));
    }
    if access.token(user, name).is_some() {
        return Err(AccessError::TokenExists);
    }
    let mut token = Token {
        comment: String::new(),
        expire: 0,
        privsep: true,
        generation: random_number(),
    };
    change.apply(&mut token);
    let mut edit = Edit::new();
    edit.put(access, keys::token(user, name), &Record::new(token))?;
    edit.put_bytes(keys::token_secret(user, name), secret.encode()?);
    Ok(edit)
}

/// Changes a token; `secret` replaces the secret and invalidates the old one.
pub fn update(
    access: &Access,
    user: &UserId,
    name: &TokenName,
    change: &TokenChange,
    secret: Option<&TokenSecret>,
) -> Result<Edit, AccessError> {
    let missing = || AccessError::NoToken(user.clone(), name.clone());
    let record = access.tokens.get(user).and_then(|tokens| tokens.get(name));
    let mut record = record.cloned().ok_or_else(missing)?;
    change.apply(&mut record.data);
    let mut edit = Edit::new();
    if let Some(secret) = secret {
        record.data.generation = random_number();
        edit.put_bytes(keys::token_secret(user, name), secret.encode()?);
    }
    edit.put(access, keys::token(user, name), &record)?;
    Ok(edit)
}

pub fn delete(access: &Access, user: &UserId, name: &TokenName) -> Result<Edit, AccessError> {
    let key = keys::token(user, name);
    readable(access, &key)?;
    if access.token(user, name).is_none() {
        return Err(AccessError::NoToken(user.clone(), name.clone()));
    }
    let mut edit = Edit::new();
    edit.forget_acl(access, names(SubjectKind::Token, &format!("{user}!{name}")))?;
    edit.delete(keys::token_secret(user, name));
    edit.delete(key);
    Ok(edit)
}
