//! Which tags a caller may give to guests and take from them.

use std::collections::BTreeSet;

use auth::View;
use model::schema::format::split_list;
use model::schema::parse_properties;
use model::{Error, GuestConfig, Privilege};
use node::Settings;
use proto::table::USER_TAG_ACCESS;
use serde_json::Value;

use super::Op;

fn tags(text: Option<&str>) -> BTreeSet<String> {
    let tags = split_list(text.unwrap_or_default());
    tags.map(str::to_owned).collect()
}

/// What the cluster's options say of tags.
pub(super) struct TagPolicy {
    registered: BTreeSet<String>,
    listed: BTreeSet<String>,
    /// `free`, `existing`, `list` or `none`.
    user_allow: String,
}

impl TagPolicy {
    pub(super) fn of(settings: &Settings) -> Self {
        let text = |name: &str| settings.options.get(name).and_then(Value::as_str);
        let access = text("user-tag-access").unwrap_or_default();
        let access = parse_properties(USER_TAG_ACCESS, access).unwrap_or_default();
        Self {
            registered: tags(text("registered-tags")),
            listed: tags(access.text("user-allow-list")),
            user_allow: access.text("user-allow").unwrap_or("free").to_owned(),
        }
    }

    /// The tags that a caller may set: listed ones, existing ones if the cluster allows that, and
    /// registered ones only with the right to change the cluster.
    pub(super) fn allowed(&self, given: &BTreeSet<String>, may_all: bool) -> BTreeSet<String> {
        let mut allowed = match &*self.user_allow {
            _ if may_all => given | &self.registered,
            "free" | "existing" => given - &self.registered,
            _ => BTreeSet::new(),
        };
        if may_all || self.user_allow != "none" {
            allowed.extend(self.listed.iter().cloned());
        }
        allowed
    }

    /// Whether others than those of `allowed` may be set, too.
    fn is_free(&self, tag: &str) -> bool {
        self.user_allow == "free" && !self.registered.contains(tag)
    }
}

/// The tags of all guests that the caller may see.
pub(super) async fn given_tags(op: &Op, view: &View<'_>) -> Result<BTreeSet<String>, Error> {
    let mut given = BTreeSet::new();
    for guest in op.records.guests().await? {
        let guest = guest?;
        if view.has(&format!("/vms/{}", guest.vmid), Privilege::VmAudit) {
            given.extend(tags(guest.config.text("tags").as_deref()));
        }
    }
    Ok(given)
}

/// Refuses a change of a guest's tags that the caller may not make. Tags that stay are not looked at.
pub(super) async fn check_tags(
    op: &Op,
    before: &GuestConfig,
    after: Option<&Value>,
) -> Result<(), Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let before = tags(before.text("tags").as_deref());
    let after = tags(after.and_then(Value::as_str));
    if before == after || view.has("/", Privilege::SysModify) {
        return Ok(());
    }
    let mut policy = TagPolicy::of(&op.records.cluster_options().await?);
    // A tag that keeps guests apart is not its guests' owners' to take off, nor is one of a tier
    // theirs to give.
    let isolation = op.records.isolation().await?;
    policy
        .registered
        .extend(isolation.tags().map(str::to_owned));
    for tier in op.records.tiers().await? {
        policy.registered.extend(tier.tags().map(str::to_owned));
    }
    let given = match &*policy.user_allow {
        "existing" => given_tags(op, &view).await?,
        _ => BTreeSet::new(),
    };
    let allowed = policy.allowed(&given, false);
    let mut changed = before.symmetric_difference(&after);
    match changed.find(|tag| !policy.is_free(tag) && !allowed.contains(*tag)) {
        None => Ok(()),
        Some(tag) => Err(Error::forbidden(format!(
            "Permission check failed (/, Sys.Modify for modifying tag '{tag}')"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> BTreeSet<String> {
        tags(Some(names))
    }

    #[test]
    fn who_may_give_which_tags() {
        let mut settings = Settings::default();
        settings
            .options
            .insert("registered-tags".into(), "prod;dev".into());
        for (access, may_all, expected) in [
            ("", true, "a dev prod"),
            ("", false, "a"),
            ("user-allow=existing,user-allow-list=web", false, "a web"),
            (
                "user-allow=list,user-allow-list=web;prod",
                false,
                "prod web",
            ),
            ("user-allow=none,user-allow-list=web", false, ""),
            (
                "user-allow=none,user-allow-list=web",
                true,
                "a dev prod web",
            ),
        ] {
            settings
                .options
                .insert("user-tag-access".into(), access.into());
            let policy = TagPolicy::of(&settings);
            let allowed = policy.allowed(&names("a prod"), may_all);
            assert_eq!(allowed, names(expected), "{access} {may_all}");
        }
    }
}
