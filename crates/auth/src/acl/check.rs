//! Checks an identity against a row's permission.

use model::schema::{Values, format::split_list};
use model::{Error, Privilege, UserId};
use proto::{Check, Identity, Need, Permission};
use serde_json::Value;

use super::{Access, View, normalize};

/// The missing rights, as Proxmox VE writes them: `/vms/100, VM.PowerMgmt`. May be empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Permission check failed{}", if .0.is_empty() { String::new() } else { format!(" ({})", .0) })]
pub struct Denied(pub String);

impl Denied {
    /// Only root may do this.
    pub fn not_root() -> Self {
        Self("user != root@pam".to_owned())
    }

    /// One of the privileges would have been enough.
    pub fn any(path: &str, privileges: &[Privilege]) -> Self {
        let names: Vec<&str> = privileges.iter().map(|p| p.as_str()).collect();
        Self(format!("{path}, {}", names.join("|")))
    }

    pub fn one(path: &str, privilege: Privilege) -> Self {
        Self::any(path, &[privilege])
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::forbidden(denied.to_string())
    }
}

impl Access {
    /// Whether `who` may call an operation with this permission and these parameters (typed by
    /// the row's own schema).
    pub fn check(
        &self,
        permission: &Permission,
        who: &Identity,
        params: &Values,
        now: model::UnixTime,
    ) -> Result<(), Denied> {
        match permission {
            // An operation that any caller may call needs no snapshot of rights.
            Permission::World | Permission::User => Ok(()),
            Permission::Root if self.view(who, now).is_root() => Ok(()),
            Permission::Root => Err(Denied::not_root()),
            Permission::Check(check) => self.view(who, now).check(check, params),
        }
    }
}

fn text(params: &Values, name: &str) -> Option<String> {
    match params.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Fills parameters into a path. None if one is missing or would change the path's structure: only
/// a pool's name may contain slashes.
fn fill(template: &str, params: &Values) -> Option<String> {
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        let value = text(params, name)?;
        if value.is_empty() || (value.contains('/') && name != "poolid") {
            return None;
        }
        path.push_str(before);
        path.push_str(&value);
        rest = after;
    }
    path.push_str(rest);
    Some(path)
}

impl View<'_> {
    /// Requires all of the privileges on a path; the first missing one is named.
    pub fn require(&self, path: &str, privileges: &[Privilege]) -> Result<(), Denied> {
        let here = self.privileges(path);
        match privileges
            .iter()
            .find(|privilege| !here.contains(**privilege))
        {
            None => Ok(()),
            Some(missing) => Err(Denied::one(path, *missing)),
        }
    }

    /// Requires one of the privileges on a path.
    pub fn require_any(&self, path: &str, privileges: &[Privilege]) -> Result<(), Denied> {
        if self.has_any(path, privileges) {
            Ok(())
        } else {
            Err(Denied::any(path, privileges))
        }
    }

    /// Requires the rights that a request turned out to need.
    pub fn meet(&self, need: &Need) -> Result<(), Denied> {
        let on = |path: &str| {
            if need.any {
                self.require_any(path, &need.privileges)
            } else {
                self.require(path, &need.privileges)
            }
        };
        match &need.or_on {
            Some(other) if on(other).is_ok() => Ok(()),
            _ => on(&need.path),
        }
    }

    /// Checks this identity.
    pub fn check(&self, check: &Check, params: &Values) -> Result<(), Denied> {
        if self.is_root() {
            return Ok(());
        }
        match check {
            Check::On(template, privileges) => {
                self.require(&self.path(template, params)?, privileges)
            }
            Check::AnyOn(template, privileges) => {
                self.require_any(&self.path(template, params)?, privileges)
            }
            Check::All(checks) => checks
                .iter()
                .try_for_each(|check| self.check(check, params)),
            Check::Any(checks) => match checks {
                [only] => self.check(only, params),
                many if many.iter().any(|check| self.check(check, params).is_ok()) => Ok(()),
                _ => Err(Denied(String::new())),
            },
            Check::Given(name, check) => match params.get(*name) {
                Some(_) => self.check(check, params),
                None => Err(Denied(String::new())),
            },
            Check::SelfUser => self.check_self(params),
            Check::UserRealm(privilege) => {
                let user = self.userid(params)?;
                self.require(&format!("/access/realm/{}", user.realm()), &[*privilege])
            }
            Check::UserGroups {
                privileges,
                new_groups,
            } => self.check_user_groups(privileges, *new_groups, params),
            Check::ModifyAcl => {
                let path = text(params, "path").as_deref().and_then(normalize);
                self.check_modify_acl(path.as_deref().unwrap_or("/access"))
            }
            Check::Computed(needs) => needs(params).iter().try_for_each(|need| self.meet(need)),
        }
    }

    fn path(&self, template: &str, params: &Values) -> Result<String, Denied> {
        fill(template, params).ok_or_else(|| Denied(template.to_owned()))
    }

    fn userid(&self, params: &Values) -> Result<UserId, Denied> {
        text(params, "userid")
            .and_then(|userid| userid.parse().ok())
            .ok_or_else(|| Denied(String::new()))
    }

    /// A token does not count as its owner here: a token with few rights could otherwise create one
    /// with all of its owner's.
    fn check_self(&self, params: &Values) -> Result<(), Denied> {
        let who = self.identity();
        if who.token.is_none() && self.userid(params)? == who.user {
            Ok(())
        } else {
            Err(Denied(String::new()))
        }
    }

    fn check_user_groups(
        &self,
        privileges: &[Privilege],
        new_groups: bool,
        params: &Values,
    ) -> Result<(), Denied> {
        const ALL: &str = "/access/groups";
        if self.has_any(ALL, privileges) {
            return Ok(());
        }
        let user = self.userid(params)?;
        let exists = self.access().user(&user).is_some();
        if new_groups {
            let groups = text(params, "groups").unwrap_or_default();
            let mut groups = split_list(&groups).peekable();
            // A new user must be created in a group that the caller manages.
            if !exists && groups.peek().is_none() {
                return Err(Denied::any(ALL, privileges));
            }
            groups.try_for_each(|group| self.require_any(&format!("{ALL}/{group}"), privileges))?;
        }
        let managed = self
            .access()
            .groups_of(&user)
            .any(|group| self.has_any(&format!("{ALL}/{group}"), privileges));
        if managed || (new_groups && !exists) {
            Ok(())
        } else {
            Err(Denied::any(ALL, privileges))
        }
    }

    /// Whether this identity may manage or see a user through one of its groups.
    pub fn manages_user(&self, user: &UserId, privileges: &[Privilege]) -> bool {
        let userid = Values::from_iter([("userid".to_owned(), Value::from(user.as_str()))]);
        self.is_root() || self.check_user_groups(privileges, false, &userid).is_ok()
    }

    /// Whether this identity may change the access control list at a path: by `Permissions.Modify`,
    /// or by the right to allocate the object.
    pub fn check_modify_acl(&self, path: &str) -> Result<(), Denied> {
        let mut enough = vec![Privilege::PermissionsModify];
        let below = |folder: &str| {
            path.strip_prefix(folder)
                .is_some_and(|rest| !rest.is_empty())
        };
        if below("/storage/") {
            enough.push(Privilege::DatastoreAllocate);
        } else if below("/vms/") {
            enough.push(Privilege::VmAllocate);
        } else if below("/pool/") {
            enough.push(Privilege::PoolAllocate);
        }
        self.require_any(path, &enough)
    }
}
