//! The permissions of rows, and the texts of refusals.

use super::*;

fn params(value: serde_json::Value) -> Values {
    value.as_object().unwrap().clone()
}

fn denied(access: &Access, label: &str, check: Check, given: serde_json::Value) -> String {
    let permission = Permission::Check(check);
    match access.check(&permission, &who(label), &params(given), NOW) {
        Ok(()) => String::new(),
        Err(denied) => denied.to_string(),
    }
}

// covers: S3.79
#[test]
fn refusals_have_the_texts_that_were_recorded() {
    use Privilege as P;
    let access = base().grant("/vms/100", "jane@pve", "Audit").access();
    let cases: [(Check, serde_json::Value, &str); 9] = [
        (
            Check::On("/vms/{vmid}", &[P::VmAudit]),
            json!({"vmid": 100}),
            "",
        ),
        (
            Check::On("/vms/{vmid}", &[P::VmAudit, P::VmPowerMgmt, P::VmConsole]),
            json!({"vmid": 100}),
            "Permission check failed (/vms/100, VM.PowerMgmt)",
        ),
        (
            Check::AnyOn("/vms/{vmid}", &[P::VmConfigDisk, P::VmConfigCdrom]),
            json!({"vmid": 100}),
            "Permission check failed (/vms/100, VM.Config.Disk|VM.Config.CDROM)",
        ),
        (
            Check::On("/pool/{poolid}", &[P::PoolAllocate]),
            json!({"poolid": "pt"}),
            "Permission check failed (/pool/pt, Pool.Allocate)",
        ),
        (
            Check::UserRealm(P::RealmAllocateUser),
            json!({"userid": "x@pve"}),
            "Permission check failed (/access/realm/pve, Realm.AllocateUser)",
        ),
        (
            Check::UserGroups {
                privileges: &[P::UserModify, P::SysAudit],
                new_groups: false,
            },
            json!({"userid": "jane@pve"}),
            "Permission check failed (/access/groups, User.Modify|Sys.Audit)",
        ),
        (
            Check::SelfUser,
            json!({"userid": "joe@pve"}),
            "Permission check failed",
        ),
        (
            Check::ModifyAcl,
            json!({"path": "/vms/100"}),
            "Permission check failed (/vms/100, Permissions.Modify|VM.Allocate)",
        ),
        (
            Check::Given("pool", &Check::On("/pool/{pool}", &[P::VmAllocate])),
            json!({}),
            "Permission check failed",
        ),
    ];
    for (check, given, expected) in cases {
        assert_eq!(denied(&access, "jane@pve", check, given), expected);
        assert_eq!(denied(&access, "root@pam", check, json!({})), "");
    }
    let not_root = access.check(&Permission::Root, &who("jane@pve"), &Values::new(), NOW);
    assert_eq!(
        not_root.unwrap_err().to_string(),
        "Permission check failed (user != root@pam)"
    );
}

#[test]
fn a_parameter_cannot_lead_a_check_to_another_path() {
    let access = base().grant("/vms/100", "jane@pve", "Audit").access();
    let check = Check::On("/vms/{vmid}/x", &[Privilege::VmAudit]);
    let text = denied(&access, "jane@pve", check, json!({"vmid": "100/../200"}));
    assert_eq!(text, "Permission check failed (/vms/{vmid}/x)");
    let text = denied(&access, "jane@pve", check, json!({}));
    assert_eq!(text, "Permission check failed (/vms/{vmid}/x)");
}

#[test]
fn only_the_user_itself_is_itself_and_no_token_of_it() {
    let access = base().token("jane@pve", "ci", false).access();
    let me = || json!({"userid": "jane@pve"});
    assert_eq!(denied(&access, "jane@pve", Check::SelfUser, me()), "");
    assert_eq!(
        denied(&access, "jane@pve!ci", Check::SelfUser, me()),
        "Permission check failed"
    );
}

#[test]
fn who_manages_a_group_manages_its_members_and_no_others() {
    let access = base()
        .user("boss@pve", &[])
        .user("joe@pve", &["dev"])
        .user("sue@pve", &[])
        .grant("/access/groups/dev", "boss@pve", "PVEUserAdmin")
        .access();
    let check = |new_groups| Check::UserGroups {
        privileges: &[Privilege::UserModify],
        new_groups,
    };
    let allowed = |new_groups: bool, given: serde_json::Value| {
        denied(&access, "boss@pve", check(new_groups), given).is_empty()
    };
    assert!(allowed(false, json!({"userid": "joe@pve"})));
    assert!(!allowed(false, json!({"userid": "sue@pve"})));
    assert!(allowed(true, json!({"userid": "joe@pve"})));
    assert!(!allowed(
        true,
        json!({"userid": "joe@pve", "groups": "dev,ops"})
    ));
    assert!(
        !allowed(true, json!({"userid": "sue@pve", "groups": "dev"})),
        "not yet a member"
    );
    assert!(allowed(true, json!({"userid": "new@pve", "groups": "dev"})));
    assert!(!allowed(true, json!({"userid": "new@pve"})));
}

#[test]
fn any_and_all_combine_checks() {
    use Privilege as P;
    let access = base().grant("/vms/100", "jane@pve", "Audit").access();
    const YES: Check = Check::On("/vms/100", &[P::VmAudit]);
    const NO: Check = Check::On("/vms/100", &[P::VmClone]);
    let text = |check| denied(&access, "jane@pve", check, json!({}));
    assert_eq!(text(Check::Any(&[NO, YES])), "");
    assert_eq!(text(Check::Any(&[NO, NO])), "Permission check failed");
    assert_eq!(
        text(Check::All(&[YES, NO])),
        "Permission check failed (/vms/100, VM.Clone)"
    );
    assert_eq!(text(Check::All(&[YES, YES])), "");
}
