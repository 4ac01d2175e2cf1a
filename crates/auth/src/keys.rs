//! The keys in the store that this crate owns.
//!
//! Everything below `access/` is copied to the unprivileged api process. Secrets are below
//! `secret/`, which never leaves the agent.

use model::{GroupId, PoolId, RealmId, RoleId, TokenName, UserId};
use store::{Key, KeyError, Prefix};

/// The object that a key below `access/` belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    User(UserId),
    Group(GroupId),
    Role(RoleId),
    Realm(RealmId),
    /// The access control entries of this path, e.g. `/vms/100`.
    Acl(String),
    Pool(PoolId),
    Token(UserId, TokenName),
    /// See `order`.
    Order,
}

/// Ids are checked: they hold neither empty words nor control characters, and even the longest ones
/// fit into keys (the test below). The words before them are constants, so the result is always a
/// valid key.
fn key(text: String) -> Key {
    Key::new(text).expect("checked ids make keys")
}

fn prefix(folder: &str) -> Prefix {
    Prefix::below(folder).expect("a constant folder is a prefix")
}

/// Everything that is copied to the api.
pub fn all() -> Prefix {
    prefix("access")
}

/// Rewritten by every change below `access/`, each on condition that it is unchanged since. This
/// serializes the changes across the whole cluster, so that rules that span records (a member's
/// group exists, a guest is in one pool) hold without locks.
pub fn order() -> Key {
    key("access/order".to_owned())
}

pub fn user(id: &UserId) -> Key {
    key(format!("access/user/{id}"))
}

pub fn group(id: &GroupId) -> Key {
    key(format!("access/group/{id}"))
}

pub fn role(id: &RoleId) -> Key {
    key(format!("access/role/{id}"))
}

pub fn realm(id: &RealmId) -> Key {
    key(format!("access/realm/{id}"))
}

/// `path` as normalized by `acl::normalize`; other texts may be invalid keys.
pub fn acl(path: &str) -> Result<Key, KeyError> {
    let below = if path == "/" { "" } else { path };
    Key::new(format!("access/acl/_{below}"))
}

pub fn pool(id: &PoolId) -> Key {
    key(format!("access/pool/{id}"))
}

/// Rewritten also when only the token's secret changes, so that caches of verified tokens notice.
pub fn token(user: &UserId, name: &TokenName) -> Key {
    key(format!("access/token/{user}/{name}"))
}

pub fn password_secret(user: &UserId) -> Key {
    key(format!("secret/password/{user}"))
}

pub fn token_secret(user: &UserId, name: &TokenName) -> Key {
    key(format!("secret/token/{user}/{name}"))
}

pub fn tfa_secret(user: &UserId) -> Key {
    key(format!("secret/tfa/{user}"))
}

pub fn tfa_secrets() -> Prefix {
    prefix("secret/tfa")
}

pub fn ticket_keys() -> Key {
    key("secret/keys/ticket".to_owned())
}

pub fn csrf_keys() -> Key {
    key("secret/keys/csrf".to_owned())
}

/// The key that seals secrets in records that are copied to the api.
pub fn sealing_key() -> Key {
    key("secret/keys/seal".to_owned())
}

pub fn signing_keys() -> Prefix {
    prefix("secret/keys")
}

/// Parses a key below `access/`. None for a key that this version does not know.
pub fn subject(key: &Key) -> Option<Subject> {
    let (folder, id) = key
        .as_str()
        .strip_prefix("access/")?
        .split_once('/')
        .unwrap_or(("", ""));
    match folder {
        "" => (key == &order()).then_some(Subject::Order),
        "user" => UserId::new(id).ok().map(Subject::User),
        "group" => GroupId::new(id).ok().map(Subject::Group),
        "role" => RoleId::new(id).ok().map(Subject::Role),
        "realm" => RealmId::new(id).ok().map(Subject::Realm),
        "acl" => match id.strip_prefix('_')? {
            "" => Some(Subject::Acl("/".to_owned())),
            path => Some(Subject::Acl(path.to_owned())),
        },
        "pool" => PoolId::new(id).ok().map(Subject::Pool),
        "token" => {
            let (user, name) = id.split_once('/')?;
            Some(Subject::Token(
                UserId::new(user).ok()?,
                TokenName::new(name).ok()?,
            ))
        }
        _ => None,
    }
}

/// The user whose cached identities end when this key changes. Groups, roles and the access control
/// list end none: rights are evaluated at every call.
pub fn ends_identities_of(key: &Key) -> Option<UserId> {
    match subject(key)? {
        Subject::User(user) | Subject::Token(user, _) => Some(user),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use model::text;

    use super::*;
    use crate::acl;

    #[test]
    fn every_key_reads_back() {
        let user_id: UserId = "jane@corp@pve".parse().unwrap();
        let token_name: TokenName = "ci".parse().unwrap();
        let pool_id: PoolId = "a/b".parse().unwrap();
        let cases = [
            (user(&user_id), Subject::User(user_id.clone())),
            (
                token(&user_id, &token_name),
                Subject::Token(user_id, token_name),
            ),
            (super::acl("/").unwrap(), Subject::Acl("/".into())),
            (
                super::acl("/vms/100").unwrap(),
                Subject::Acl("/vms/100".into()),
            ),
            (pool(&pool_id), Subject::Pool(pool_id)),
            (order(), Subject::Order),
        ];
        for (key, expected) in cases {
            assert_eq!(subject(&key), Some(expected), "{key}");
            assert!(all().contains(&key));
        }
    }

    #[test]
    fn the_longest_ids_make_keys() {
        let name = |length: usize| "a".repeat(length);
        let user_id = format!("{}@pve", name(text::USER_ID_LENGTH - 4));
        let user_id = UserId::new(user_id).unwrap();
        let token_name = TokenName::new(name(text::TOKEN_NAME_LENGTH)).unwrap();
        let word = name(text::CONFIG_NAME_LENGTH);
        let pool_id = PoolId::new([word.as_str(); 3].join("/")).unwrap();
        assert_eq!(pool_id.as_str().len(), text::POOL_ID_LENGTH);
        let longest_path = format!("/pool/{pool_id}");
        assert!(acl::normalize(&longest_path).is_some());
        for made in [
            user(&user_id),
            group(&GroupId::new(word.clone()).unwrap()),
            role(&RoleId::new(word).unwrap()),
            realm(&RealmId::new(name(text::REALM_LENGTH)).unwrap()),
            pool(&pool_id),
            token(&user_id, &token_name),
            token_secret(&user_id, &token_name),
            super::acl(&longest_path).unwrap(),
        ] {
            assert!(
                made.as_str().len() <= store::limits::KEY_BYTES / 2,
                "{made}"
            );
        }
        let too_long = name(text::TOKEN_NAME_LENGTH + 1);
        assert!(TokenName::new(too_long).is_err());
        assert!(super::acl(&format!("/pool/{}", name(1_100))).is_err());
    }

    #[test]
    fn no_secret_is_below_what_the_api_sees() {
        let user = UserId::root();
        let name: TokenName = "t1".parse().unwrap();
        for key in [
            password_secret(&user),
            token_secret(&user, &name),
            tfa_secret(&user),
            ticket_keys(),
            csrf_keys(),
            sealing_key(),
        ] {
            assert!(key.as_str().starts_with("secret/"), "{key}");
            assert!(!all().contains(&key));
        }
    }
}
