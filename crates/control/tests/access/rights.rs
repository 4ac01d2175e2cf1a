//! Roles, the access control list, and the rights that they give.

use super::bench::{Bench, JANE, PASSWORD};
use super::by;
use serde_json::{Value, json};

// covers: S3.79
#[tokio::test]
async fn roles_are_made_of_privileges() {
    let bench = Bench::new().await;
    let root = bench.root();
    root.ok("role_create", json!({"roleid": "R1", "privs": "VM.Audit"}))
        .await;
    root.ok(
        "role_update",
        json!({"roleid": "R1", "privs": "VM.Console", "append": 1}),
    )
    .await;
    let role = root.ok("role_get", json!({"roleid": "R1"})).await;
    assert_eq!(role, json!({"VM.Audit": 1, "VM.Console": 1}));
    let rows = root.ok("role_list", json!({})).await;
    assert_eq!(rows.as_array().unwrap().len(), 18);
    let row = json!({"roleid": "R1", "privs": "VM.Audit,VM.Console", "special": 0});
    assert_eq!(*by(&rows, "roleid", "R1"), row);
    assert_eq!(by(&rows, "roleid", "NoAccess")["privs"], "");
    let bad = root
        .error("role_create", json!({"roleid": "R2", "privs": "VM.Nope"}))
        .await;
    assert_eq!(
        bad.fields["privs"],
        "invalid format - invalid privilege 'VM.Nope'\n"
    );
    root.ok("role_delete", json!({"roleid": "R1"})).await;
    for (op, roleid, text) in [
        (
            "role_delete",
            "Administrator",
            "auto-generated role 'Administrator' cannot be deleted",
        ),
        (
            "role_update",
            "PVEAdmin",
            "auto-generated role 'PVEAdmin' cannot be modified",
        ),
        (
            "role_delete",
            "R1",
            "delete role failed: role 'R1' does not exist",
        ),
        ("role_get", "R1", "role 'R1' does not exist"),
        (
            "role_create",
            "Administrator",
            "create role failed: role 'Administrator' already exists",
        ),
    ] {
        assert_eq!(
            root.error(op, json!({"roleid": roleid})).await.message,
            text
        );
    }
    for reserved in ["PVEMine", "pve-mine"] {
        let refused = root.error("role_create", json!({"roleid": reserved})).await;
        let text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        assert_eq!(refused.fields["roleid"], text);
    }
}

// covers: S3.79
#[tokio::test]
async fn rights_are_given_shown_used_and_taken_away() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    assert_eq!(root.ok("acl_list", json!({})).await, json!([]));
    assert_eq!(jane.ok("permissions_get", json!({})).await, json!({}));
    root.ok("role_create", json!({"roleid": "R1", "privs": "VM.Audit"}))
        .await;
    let grant = json!({"path": "/vms/100/", "users": JANE, "roles": "R1"});
    root.ok("acl_update", grant.clone()).await;
    let row =
        json!({"type": "user", "path": "/vms/100", "roleid": "R1", "propagate": 1, "ugid": JANE});
    assert_eq!(root.ok("acl_list", json!({})).await, json!([row]));
    assert_eq!(
        jane.ok("acl_list", json!({})).await,
        json!([]),
        "not hers to manage"
    );
    let permissions = jane.ok("permissions_get", json!({})).await;
    assert_eq!(permissions, json!({"/vms/100": {"VM.Audit": 1}}));
    let refused = jane
        .error("permissions_get", json!({"userid": "root@pam"}))
        .await;
    assert_eq!(
        refused.message,
        "Permission check failed (/access, Sys.Audit)"
    );
    let other = root
        .ok(
            "permissions_get",
            json!({"userid": JANE, "path": "/vms/101"}),
        )
        .await;
    assert_eq!(other, json!({"/vms/101": {}}));
    let mut take = grant;
    take["delete"] = 1.into();
    root.ok("acl_update", take).await;
    assert_eq!(root.ok("acl_list", json!({})).await, json!([]));
    assert_eq!(jane.ok("permissions_get", json!({})).await, json!({}));
}

#[tokio::test]
async fn root_sees_all_privileges_on_the_recorded_paths() {
    let permissions = Bench::new()
        .await
        .root()
        .ok("permissions_get", json!({}))
        .await;
    let mut paths: Vec<&String> = permissions.as_object().unwrap().keys().collect();
    paths.sort();
    let recorded = [
        "/",
        "/access",
        "/access/groups",
        "/nodes",
        "/pool",
        "/sdn",
        "/storage",
        "/vms",
    ];
    assert_eq!(paths, recorded);
    assert_eq!(permissions["/"].as_object().unwrap().len(), 47);
}

#[tokio::test]
async fn wrong_rights_are_refused() {
    let bench = Bench::with_jane().await;
    let root = bench.root();
    let update = |path: &str, users: &str, roles: &str| json!({"path": path, "users": users, "roles": roles});
    let path = root
        .error("acl_update", update("/foo", JANE, "PVEAuditor"))
        .await;
    assert_eq!(path.fields["path"], "invalid ACL path '/foo'");
    let user = root
        .error("acl_update", update("/", "x@pve", "PVEAuditor"))
        .await;
    assert_eq!(
        user.message,
        "ACL update failed: user 'x@pve' does not exist"
    );
    let role = root.error("acl_update", update("/", JANE, "R9")).await;
    assert_eq!(role.message, "ACL update failed: role 'R9' does not exist");
    let nobody = root
        .error("acl_update", json!({"path": "/", "roles": "PVEAuditor"}))
        .await;
    assert_eq!(nobody.fields.len(), 3);
}

#[tokio::test]
async fn who_allocates_a_guest_hands_out_no_more_than_they_have() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    root.ok(
        "role_create",
        json!({"roleid": "Own", "privs": "VM.Allocate,VM.Audit"}),
    )
    .await;
    root.ok("role_create", json!({"roleid": "See", "privs": "VM.Audit"}))
        .await;
    root.ok("user_create", json!({"userid": "bob@pve"})).await;
    root.ok(
        "acl_update",
        json!({"path": "/vms/100", "users": JANE, "roles": "Own"}),
    )
    .await;
    let give = |role: &str| json!({"path": "/vms/100", "users": "bob@pve", "roles": role});
    jane.ok("acl_update", give("See")).await;
    for role in ["Administrator", "PVEVMAdmin", "NoAccess"] {
        assert!(
            jane.error("acl_update", give(role))
                .await
                .fields
                .contains_key("roles"),
            "{role}"
        );
    }
    assert_eq!(
        jane.ok("acl_list", json!({}))
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let elsewhere = json!({"path": "/vms/101", "users": "bob@pve", "roles": "See"});
    let text = "Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)";
    assert_eq!(jane.error("acl_update", elsewhere).await.message, text);
}

#[tokio::test]
async fn whoever_manages_users_does_not_become_root() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    let admin = json!({"path": "/access", "users": JANE, "roles": "PVEUserAdmin"});
    root.ok("acl_update", admin).await;
    jane.ok("user_create", json!({"userid": "bob@pve"})).await;
    let text = "Permission check failed (user != root@pam)";
    for (op, params) in [
        (
            "token_create",
            json!({"userid": "root@pam", "tokenid": "mine", "privsep": 0}),
        ),
        ("user_update", json!({"userid": "root@pam", "enable": 0})),
        (
            "password_update",
            json!({"userid": "root@pam", "password": "12345678", "confirmation-password": PASSWORD}),
        ),
        (
            "tfa_create",
            json!({"userid": "root@pam", "type": "recovery", "password": PASSWORD}),
        ),
        ("user_unlock_tfa", json!({"userid": "root@pam"})),
    ] {
        assert_eq!(jane.error(op, params).await.message, text, "{op}");
    }
}

#[tokio::test]
async fn users_see_only_whom_they_manage_and_themselves() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    root.ok("group_create", json!({"groupid": "dev"})).await;
    root.ok("user_create", json!({"userid": "bob@pve", "groups": "dev"}))
        .await;
    let names = |rows: Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().clone();
        rows.iter()
            .map(|row| row["userid"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(jane.ok("user_list", json!({})).await), [JANE]);
    let create = jane.error("user_create", json!({"userid": "x@pve"})).await;
    let text = "Permission check failed (/access/realm/pve, Realm.AllocateUser)";
    assert_eq!(create.message, text);
    let manage = json!({"path": "/access/groups/dev", "users": JANE, "roles": "PVEUserAdmin"});
    root.ok("acl_update", manage).await;
    assert_eq!(
        names(jane.ok("user_list", json!({})).await),
        ["bob@pve", JANE]
    );
    assert_eq!(
        jane.ok("group_list", json!({}))
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    jane.ok(
        "user_update",
        json!({"userid": "bob@pve", "comment": "mine"}),
    )
    .await;
}
