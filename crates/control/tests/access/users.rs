//! Users, groups and realms.

use super::bench::{Bench, PASSWORD};
use super::by;
use model::ErrorKind;
use serde_json::json;

// covers: S3.79
#[tokio::test]
async fn a_user_is_made_shown_changed_and_removed() {
    let bench = Bench::new().await;
    let root = bench.root();
    root.ok(
        "user_create",
        json!({"userid": "bob@pve", "password": PASSWORD, "comment": "Bob"}),
    )
    .await;
    root.ok(
        "user_update",
        json!({"userid": "bob@pve", "comment": "B2", "enable": "1"}),
    )
    .await;
    let rows = root.ok("user_list", json!({"full": 1})).await;
    assert_eq!(
        *by(&rows, "userid", "bob@pve"),
        json!({
            "comment": "B2", "tokens": null, "email": "", "groups": "", "realm-type": "pve",
            "enable": 1, "userid": "bob@pve", "expire": 0,
        })
    );
    let bob = root.ok("user_get", json!({"userid": "bob@pve"})).await;
    let expected = json!({"enable": 1, "expire": 0, "email": "", "comment": "B2", "groups": [], "tokens": null});
    assert_eq!(bob, expected);
    root.ok("user_delete", json!({"userid": "bob@pve"})).await;
    let missing = root
        .error("user_get", json!({"userid": "nobody@pve"}))
        .await;
    assert_eq!(missing.message, "no such user ('nobody@pve')");
    assert_eq!(missing.kind, ErrorKind::NotFound);
}

/// Clients check whether a text begins like this.
#[tokio::test]
async fn what_is_not_there_is_named_first() {
    let bench = Bench::new().await;
    let root = bench.root();
    root.ok("user_create", json!({"userid": "bob@pve"})).await;
    let cases = [
        (
            "token_get",
            json!({"userid": "x@pve", "tokenid": "t1"}),
            "no such user ('x@pve')",
        ),
        (
            "token_create",
            json!({"userid": "x@pve", "tokenid": "t1"}),
            "no such user ('x@pve')",
        ),
        (
            "token_update",
            json!({"userid": "bob@pve", "tokenid": "t1", "comment": "c"}),
            "no such token 't1' for user 'bob@pve'",
        ),
        (
            "token_delete",
            json!({"userid": "bob@pve", "tokenid": "t1"}),
            "no such token 't1' for user 'bob@pve'",
        ),
        (
            "password_update",
            json!({"userid": "x@pve", "password": "eight or more"}),
            "no such user ('x@pve')",
        ),
        (
            "permissions_get",
            json!({"userid": "bob@pve!t1"}),
            "no such token 't1' for user 'bob@pve'",
        ),
    ];
    for (op, params, text) in cases {
        assert_eq!(root.error(op, params).await.message, text);
    }
}

#[tokio::test]
async fn wrong_users_are_refused_with_known_texts() {
    let bench = Bench::new().await;
    let root = bench.root();
    root.ok("user_create", json!({"userid": "bob@pve"})).await;
    let cases = [
        (
            "user_create",
            json!({"userid": "bob@pve"}),
            "create user failed: user 'bob@pve' already exists",
        ),
        (
            "user_create",
            json!({"userid": "x@nope"}),
            "create user failed: domain 'nope' does not exist",
        ),
        (
            "user_create",
            json!({"userid": "x@pve", "groups": "g"}),
            "create user failed: no such group 'g'",
        ),
        (
            "user_update",
            json!({"userid": "x@pve"}),
            "update user failed: no such user ('x@pve')",
        ),
        (
            "user_delete",
            json!({"userid": "x@pve"}),
            "no such user ('x@pve')",
        ),
        (
            "user_delete",
            json!({"userid": "root@pam"}),
            "delete user failed: user 'root@pam' cannot be deleted",
        ),
    ];
    for (op, params, text) in cases {
        assert_eq!(root.error(op, params).await.message, text);
    }
    let keys = root
        .error("user_create", json!({"userid": "x@pve", "keys": "abc"}))
        .await;
    assert!(keys.fields["keys"].contains("not supported"));
    root.ok("user_create", json!({"userid": "x@pve", "keys": ""}))
        .await;
    let pam = root
        .error(
            "user_create",
            json!({"userid": "x@pam", "password": PASSWORD}),
        )
        .await;
    assert!(pam.fields.contains_key("password"));
}

// covers: S3.79
#[tokio::test]
async fn groups_and_their_members() {
    let bench = Bench::new().await;
    let root = bench.root();
    assert_eq!(root.ok("group_list", json!({})).await, json!([]));
    root.ok("group_create", json!({"groupid": "dev", "comment": "c"}))
        .await;
    root.ok("group_create", json!({"groupid": "ops"})).await;
    root.ok("user_create", json!({"userid": "bob@pve", "groups": "dev"}))
        .await;
    root.ok(
        "user_update",
        json!({"userid": "bob@pve", "groups": "ops", "append": 1}),
    )
    .await;
    let group = root.ok("group_get", json!({"groupid": "dev"})).await;
    assert_eq!(group, json!({"comment": "c", "members": ["bob@pve"]}));
    let rows = root.ok("group_list", json!({})).await;
    assert_eq!(
        *by(&rows, "groupid", "ops"),
        json!({"groupid": "ops", "users": "bob@pve"})
    );
    root.ok("group_update", json!({"groupid": "dev", "comment": "d"}))
        .await;
    root.ok("group_delete", json!({"groupid": "dev"})).await;
    assert_eq!(
        root.ok("user_get", json!({"userid": "bob@pve"})).await["groups"],
        json!(["ops"])
    );
    for (op, text) in [
        ("group_get", "group 'dev' does not exist"),
        (
            "group_update",
            "update group failed: group 'dev' does not exist",
        ),
        (
            "group_delete",
            "delete group failed: group 'dev' does not exist",
        ),
    ] {
        assert_eq!(
            root.error(op, json!({"groupid": "dev"})).await.message,
            text
        );
    }
    let twice = root.error("group_create", json!({"groupid": "ops"})).await;
    assert_eq!(
        twice.message,
        "create group failed: group 'ops' already exists"
    );
}

#[tokio::test]
async fn realms_are_the_built_in_ones() {
    let bench = Bench::new().await;
    let root = bench.root();
    let rows = bench.nobody().ok("domain_list", json!({})).await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(
        by(&rows, "realm", "pam")["comment"],
        "Linux PAM standard authentication"
    );
    let pam = root.ok("domain_get", json!({"realm": "pam"})).await;
    assert_eq!(pam["digest"], "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    let change = json!({"realm": "pve", "comment": "ours", "default": 1, "digest": pam["digest"]});
    root.ok("domain_update", change.clone()).await;
    let rows = bench.nobody().ok("domain_list", json!({})).await;
    let row = json!({"realm": "pve", "type": "pve", "comment": "ours", "default": 1});
    assert_eq!(*by(&rows, "realm", "pve"), row);
    assert!(
        root.error("domain_update", change)
            .await
            .message
            .contains("detected modified")
    );
    root.ok(
        "domain_update",
        json!({"realm": "pve", "delete": "comment,default"}),
    )
    .await;
    let pve = root.ok("domain_get", json!({"realm": "pve"})).await;
    assert!(pve.get("comment").is_none() && pve.get("default").is_none());
    let ldap = root
        .error("domain_create", json!({"realm": "corp", "type": "ldap"}))
        .await;
    assert!(ldap.fields.contains_key("type"));
    for (op, params) in [
        ("domain_create", json!({"realm": "pam", "type": "pam"})),
        ("domain_delete", json!({"realm": "pam"})),
        ("domain_delete", json!({"realm": "nope"})),
        ("domain_get", json!({"realm": "nope"})),
    ] {
        root.error(op, params).await;
    }
}
