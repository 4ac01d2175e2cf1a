//! Realms. Only the built-in ones exist so far.

use model::{RealmId, Record};

use super::Edit;
use crate::acl::Access;
use crate::error::AccessError;
use crate::keys;
use crate::secret::sha1_hex;

/// The fields to change; None leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct RealmChange {
    /// An empty comment is removed.
    pub comment: Option<Option<String>>,
    pub default: Option<bool>,
}

/// The digest of all realm settings: the SHA-1 of an empty text if there are none.
pub fn digest(access: &Access) -> String {
    let mut text = String::new();
    for (id, record) in &access.realms {
        let realm = &record.data;
        let comment = realm.comment.as_deref().unwrap_or_default();
        text.push_str(&format!("{}: {id}\n", realm.kind.as_str()));
        text.push_str(&format!(
            "\tcomment {comment}\n\tdefault {}\n",
            u8::from(realm.default)
        ));
    }
    sha1_hex(text.as_bytes())
}

pub fn update(
    access: &Access,
    id: &RealmId,
    change: &RealmChange,
    expected: Option<&str>,
) -> Result<Edit, AccessError> {
    if expected.is_some_and(|expected| expected != digest(access)) {
        return Err(AccessError::Modified);
    }
    let missing = || AccessError::NoRealm(id.to_string());
    let realm = access.realm(id.as_str()).ok_or_else(missing)?;
    let mut record = access
        .realms
        .get(id)
        .cloned()
        .unwrap_or_else(|| Record::new(realm));
    if let Some(comment) = &change.comment {
        record.data.comment.clone_from(comment);
    }
    record.data.default = change.default.unwrap_or(record.data.default);
    let mut edit = Edit::new();
    if record.data.default {
        // Only one realm is the default.
        for (other, stored) in access.realms.iter().filter(|(other, _)| *other != id) {
            let mut stored = stored.clone();
            stored.data.default = false;
            edit.put(access, keys::realm(other), &stored)?;
        }
    }
    edit.put(access, keys::realm(id), &record)?;
    Ok(edit)
}

pub fn delete(access: &Access, id: &RealmId) -> Result<Edit, AccessError> {
    match access.realm(id.as_str()) {
        Some(_) => Err(AccessError::BuiltInRealm(id.clone())),
        None => Err(AccessError::NoRealmToDelete(id.clone())),
    }
}
