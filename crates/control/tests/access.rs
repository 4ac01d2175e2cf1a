//! Users, groups, roles, rights, tokens, sessions and pools through the whole agent: a request
//! with a credential goes in, an answer or an error comes out.

mod bench;

use bench::{Bench, JANE, PASSWORD};
use model::ErrorKind;
use serde_json::{Value, json};

fn by<'a>(rows: &'a Value, key: &str, value: &str) -> &'a Value {
    let rows = rows.as_array().unwrap();
    rows.iter().find(|row| row[key] == value).unwrap_or_else(|| panic!("no {value} in {rows:?}"))
}

#[tokio::test]
async fn every_row_of_access_and_pools_has_its_function() {
    let pairs: Vec<&str> = control::ops::pairs().map(|(name, _)| *name).collect();
    let mine = |path: &str| path.starts_with("/access") || path.starts_with("/pools");
    let rows: Vec<&str> =
        proto::table::rows().filter(|row| mine(row.path)).map(|row| row.name).collect();
    assert_eq!(rows.len(), 48);
    for row in rows {
        assert!(pairs.contains(&row), "{row} has no function");
    }
}

// covers: S3.79
#[tokio::test]
async fn a_user_is_made_shown_changed_and_removed() {
    let bench = Bench::new().await;
    let root = bench.root();
    root.ok("user_create", json!({"userid": "bob@pve", "password": PASSWORD, "comment": "Bob"}))
        .await;
    root.ok("user_update", json!({"userid": "bob@pve", "comment": "B2", "enable": "1"})).await;
    let rows = root.ok("user_list", json!({"full": 1})).await;
    assert_eq!(
        *by(&rows, "userid", "bob@pve"),
        json!({
            "comment": "B2", "tokens": null, "email": "", "groups": "", "realm-type": "pve",
            "enable": 1, "userid": "bob@pve", "expire": 0,
        })
    );
    let bob = root.ok("user_get", json!({"userid": "bob@pve"})).await;
    let expected =
        json!({"enable": 1, "expire": 0, "email": "", "comment": "B2", "groups": [], "tokens": null});
    assert_eq!(bob, expected);
    root.ok("user_delete", json!({"userid": "bob@pve"})).await;
    let missing = root.error("user_get", json!({"userid": "nobody@pve"})).await;
    assert_eq!(missing.message, "no such user ('nobody@pve')");
    assert_eq!(missing.kind, ErrorKind::NotFound);
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
            "create user failed: group 'g' does not exist",
        ),
        (
            "user_update",
            json!({"userid": "x@pve"}),
            "update user failed: no such user ('x@pve')",
        ),
        (
            "user_delete",
            json!({"userid": "x@pve"}),
            "delete user failed: no such user ('x@pve')",
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
    let keys = root.error("user_create", json!({"userid": "x@pve", "keys": "abc"})).await;
    assert!(keys.fields["keys"].contains("not supported"));
    root.ok("user_create", json!({"userid": "x@pve", "keys": ""})).await;
    let pam = root.error("user_create", json!({"userid": "x@pam", "password": PASSWORD})).await;
    assert!(pam.fields.contains_key("password"));
}

// covers: S3.79
#[tokio::test]
async fn groups_and_their_members() {
    let bench = Bench::new().await;
    let root = bench.root();
    assert_eq!(root.ok("group_list", json!({})).await, json!([]));
    root.ok("group_create", json!({"groupid": "dev", "comment": "c"})).await;
    root.ok("group_create", json!({"groupid": "ops"})).await;
    root.ok("user_create", json!({"userid": "bob@pve", "groups": "dev"})).await;
    root.ok("user_update", json!({"userid": "bob@pve", "groups": "ops", "append": 1})).await;
    let group = root.ok("group_get", json!({"groupid": "dev"})).await;
    assert_eq!(group, json!({"comment": "c", "members": ["bob@pve"]}));
    let rows = root.ok("group_list", json!({})).await;
    assert_eq!(*by(&rows, "groupid", "ops"), json!({"groupid": "ops", "users": "bob@pve"}));
    root.ok("group_update", json!({"groupid": "dev", "comment": "d"})).await;
    root.ok("group_delete", json!({"groupid": "dev"})).await;
    assert_eq!(root.ok("user_get", json!({"userid": "bob@pve"})).await["groups"], json!(["ops"]));
    for (op, text) in [
        ("group_get", "group 'dev' does not exist"),
        ("group_update", "update group failed: group 'dev' does not exist"),
        ("group_delete", "delete group failed: group 'dev' does not exist"),
    ] {
        assert_eq!(root.error(op, json!({"groupid": "dev"})).await.message, text);
    }
    let twice = root.error("group_create", json!({"groupid": "ops"})).await;
    assert_eq!(twice.message, "create group failed: group 'ops' already exists");
}

// covers: S3.79
#[tokio::test]
async fn roles_are_made_of_privileges() {
    let bench = Bench::new().await;
    let root = bench.root();
    root.ok("role_create", json!({"roleid": "R1", "privs": "VM.Audit"})).await;
    root.ok("role_update", json!({"roleid": "R1", "privs": "VM.Console", "append": 1})).await;
    let role = root.ok("role_get", json!({"roleid": "R1"})).await;
    assert_eq!(role, json!({"VM.Audit": 1, "VM.Console": 1}));
    let rows = root.ok("role_list", json!({})).await;
    assert_eq!(rows.as_array().unwrap().len(), 18);
    let row = json!({"roleid": "R1", "privs": "VM.Audit,VM.Console", "special": 0});
    assert_eq!(*by(&rows, "roleid", "R1"), row);
    assert_eq!(by(&rows, "roleid", "NoAccess")["privs"], "");
    let bad = root.error("role_create", json!({"roleid": "R2", "privs": "VM.Nope"})).await;
    assert_eq!(bad.fields["privs"], "invalid format - invalid privilege 'VM.Nope'\n");
    root.ok("role_delete", json!({"roleid": "R1"})).await;
    for (op, roleid, text) in [
        ("role_delete", "Administrator", "auto-generated role 'Administrator' cannot be deleted"),
        ("role_update", "PVEAdmin", "auto-generated role 'PVEAdmin' cannot be modified"),
        ("role_delete", "R1", "delete role failed: role 'R1' does not exist"),
        ("role_get", "R1", "role 'R1' does not exist"),
        ("role_create", "PVEAdmin", "create role failed: role 'PVEAdmin' already exists"),
    ] {
        assert_eq!(root.error(op, json!({"roleid": roleid})).await.message, text);
    }
}

// covers: S3.79
#[tokio::test]
async fn rights_are_given_shown_used_and_taken_away() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    assert_eq!(root.ok("acl_list", json!({})).await, json!([]));
    assert_eq!(jane.ok("permissions_get", json!({})).await, json!({}));
    root.ok("role_create", json!({"roleid": "R1", "privs": "VM.Audit"})).await;
    let grant = json!({"path": "/vms/100/", "users": JANE, "roles": "R1"});
    root.ok("acl_update", grant.clone()).await;
    let row = json!({"type": "user", "path": "/vms/100", "roleid": "R1", "propagate": 1, "ugid": JANE});
    assert_eq!(root.ok("acl_list", json!({})).await, json!([row]));
    assert_eq!(jane.ok("acl_list", json!({})).await, json!([]), "not hers to manage");
    let permissions = jane.ok("permissions_get", json!({})).await;
    assert_eq!(permissions, json!({"/vms/100": {"VM.Audit": 1}}));
    let refused = jane.error("permissions_get", json!({"userid": "root@pam"})).await;
    assert_eq!(refused.message, "Permission check failed (/access, Sys.Audit)");
    let other = root.ok("permissions_get", json!({"userid": JANE, "path": "/vms/101"})).await;
    assert_eq!(other, json!({"/vms/101": {}}));
    let mut take = grant;
    take["delete"] = 1.into();
    root.ok("acl_update", take).await;
    assert_eq!(root.ok("acl_list", json!({})).await, json!([]));
    assert_eq!(jane.ok("permissions_get", json!({})).await, json!({}));
}

#[tokio::test]
async fn root_sees_all_privileges_on_the_recorded_paths() {
    let permissions = Bench::new().await.root().ok("permissions_get", json!({})).await;
    let mut paths: Vec<&String> = permissions.as_object().unwrap().keys().collect();
    paths.sort();
    let recorded =
        ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
    assert_eq!(paths, recorded);
    assert_eq!(permissions["/"].as_object().unwrap().len(), 47);
}

#[tokio::test]
async fn wrong_rights_are_refused() {
    let bench = Bench::with_jane().await;
    let root = bench.root();
    let update = |path: &str, users: &str, roles: &str| {
        json!({"path": path, "users": users, "roles": roles})
    };
    let path = root.error("acl_update", update("/foo", JANE, "PVEAuditor")).await;
    assert_eq!(path.fields["path"], "invalid ACL path '/foo'");
    let user = root.error("acl_update", update("/", "x@pve", "PVEAuditor")).await;
    assert_eq!(user.message, "ACL update failed: user 'x@pve' does not exist");
    let role = root.error("acl_update", update("/", JANE, "R9")).await;
    assert_eq!(role.message, "ACL update failed: role 'R9' does not exist");
    let nobody = root.error("acl_update", json!({"path": "/", "roles": "PVEAuditor"})).await;
    assert_eq!(nobody.fields.len(), 3);
}

#[tokio::test]
async fn who_allocates_a_guest_hands_out_no_more_than_they_have() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    root.ok("role_create", json!({"roleid": "Own", "privs": "VM.Allocate,VM.Audit"})).await;
    root.ok("role_create", json!({"roleid": "See", "privs": "VM.Audit"})).await;
    root.ok("user_create", json!({"userid": "bob@pve"})).await;
    root.ok("acl_update", json!({"path": "/vms/100", "users": JANE, "roles": "Own"})).await;
    let give = |role: &str| json!({"path": "/vms/100", "users": "bob@pve", "roles": role});
    jane.ok("acl_update", give("See")).await;
    for role in ["Administrator", "PVEVMAdmin", "NoAccess"] {
        assert!(jane.error("acl_update", give(role)).await.fields.contains_key("roles"), "{role}");
    }
    assert_eq!(jane.ok("acl_list", json!({})).await.as_array().unwrap().len(), 2);
    let elsewhere = json!({"path": "/vms/101", "users": "bob@pve", "roles": "See"});
    let text = "Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)";
    assert_eq!(jane.error("acl_update", elsewhere).await.message, text);
}

// covers: S2.55, S4.30
#[tokio::test]
async fn a_token_is_shown_once_and_may_what_it_was_given() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    root.ok("acl_update", json!({"path": "/", "users": JANE, "roles": "PVEAdmin"})).await;
    let id = json!({"userid": JANE, "tokenid": "ci"});
    let mut create = id.clone();
    create["comment"] = "x".into();
    create["privsep"] = "1".into();
    let made = jane.ok("token_create", create.clone()).await;
    assert_eq!(made["full-tokenid"], "jane@pve!ci");
    assert_eq!(made["info"], json!({"comment": "x", "privsep": "1"}));
    let secret = made["value"].as_str().unwrap();
    assert_eq!(secret.len(), 36);
    let twice = jane.error("token_create", create).await;
    assert_eq!(twice.fields["tokenid"], "Token already exists.");
    let row = json!({"tokenid": "ci", "comment": "x", "expire": 0, "privsep": 1});
    assert_eq!(jane.ok("token_list", json!({"userid": JANE})).await, json!([row]));

    let token = bench.token(&format!("jane@pve!ci={secret}"));
    let refused = token.error("pool_create", json!({"poolid": "pt"})).await;
    assert_eq!(refused.message, "Permission check failed (/pool/pt, Pool.Allocate)");
    let grant = json!({"path": "/pool", "tokens": "jane@pve!ci", "roles": "Administrator"});
    root.ok("acl_update", grant).await;
    token.ok("pool_create", json!({"poolid": "pt"})).await;
    let shown = token.ok("permissions_get", json!({"path": "/pool"})).await;
    assert_eq!(shown["/pool"]["Pool.Allocate"], 1);
    assert!(shown["/pool"].get("Sys.PowerMgmt").is_none(), "its owner cannot either");
    let more = token.error("token_create", json!({"userid": JANE, "tokenid": "all"})).await;
    assert_eq!(more.kind, ErrorKind::Forbidden, "a token makes no tokens of its owner's");

    let mut regenerate = id.clone();
    regenerate["regenerate"] = 1.into();
    let renewed = jane.ok("token_update", regenerate).await;
    assert_ne!(renewed["value"], made["value"]);
    assert_eq!(token.error("pool_list", json!({})).await.kind, ErrorKind::Unauthenticated);
    jane.ok("token_delete", id.clone()).await;
    let gone = jane.error("token_get", id).await;
    assert_eq!(gone.message, "no such token 'ci' for user 'jane@pve'");
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
        ("token_create", json!({"userid": "root@pam", "tokenid": "mine", "privsep": 0})),
        ("user_update", json!({"userid": "root@pam", "enable": 0})),
        (
            "password_update",
            json!({"userid": "root@pam", "password": "12345678", "confirmation-password": PASSWORD}),
        ),
        ("tfa_create", json!({"userid": "root@pam", "type": "recovery", "password": PASSWORD})),
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
    root.ok("user_create", json!({"userid": "bob@pve", "groups": "dev"})).await;
    let names = |rows: Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().clone();
        rows.iter().map(|row| row["userid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(jane.ok("user_list", json!({})).await), [JANE]);
    let create = jane.error("user_create", json!({"userid": "x@pve"})).await;
    let text = "Permission check failed (/access/realm/pve, Realm.AllocateUser)";
    assert_eq!(create.message, text);
    let manage = json!({"path": "/access/groups/dev", "users": JANE, "roles": "PVEUserAdmin"});
    root.ok("acl_update", manage).await;
    assert_eq!(names(jane.ok("user_list", json!({})).await), ["bob@pve", JANE]);
    assert_eq!(jane.ok("group_list", json!({})).await.as_array().unwrap().len(), 1);
    jane.ok("user_update", json!({"userid": "bob@pve", "comment": "mine"})).await;
}

#[tokio::test]
async fn a_password_is_changed_by_its_owner_who_knows_it_or_by_root() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    let change = |confirmation: Option<&str>| {
        let mut params = json!({"userid": JANE, "password": "another one"});
        if let Some(confirmation) = confirmation {
            params["confirmation-password"] = confirmation.into();
        }
        params
    };
    let missing = jane.error("password_update", change(None)).await;
    assert!(missing.fields.contains_key("confirmation-password"));
    let wrong = jane.error("password_update", change(Some("guessed"))).await;
    assert_eq!(wrong.kind, ErrorKind::Unauthenticated);
    jane.ok("password_update", change(Some(PASSWORD))).await;
    let login = |password: &str| json!({"username": JANE, "password": password});
    assert_eq!(
        bench.nobody().error("ticket_create", login(PASSWORD)).await.message,
        "authentication failure"
    );
    bench.nobody().ok("ticket_create", login("another one")).await;
    root.ok("password_update", json!({"userid": JANE, "password": "a third one"})).await;
    bench.nobody().ok("ticket_create", login("a third one")).await;
    let pam = root.error("password_update", json!({"userid": "root@pam", "password": "12345678"}));
    assert!(pam.await.fields["userid"].contains("operating system"));
}

#[tokio::test]
async fn a_session_says_what_its_owner_can_do() {
    let bench = Bench::with_jane().await;
    let grant = json!({"path": "/vms/100", "users": JANE, "roles": "PVEVMUser"});
    bench.root().ok("acl_update", grant).await;
    let nobody = bench.nobody();
    let login = json!({"username": "jane", "realm": "pve", "password": PASSWORD});
    let session = nobody.ok("ticket_create", login).await;
    assert_eq!(session["username"], JANE);
    assert_eq!(session["cap"]["vms"]["VM.Console"], 1);
    assert_eq!(session["cap"]["nodes"], json!({}));
    for area in ["access", "dc", "mapping", "nodes", "sdn", "storage", "vms"] {
        assert!(session["cap"][area].is_object(), "{area}");
    }
    assert_eq!(nobody.ok("ticket_get", json!({})).await, Value::Null);
    let check = json!({
        "username": JANE, "password": PASSWORD, "path": "/vms/100", "privs": "VM.Console",
    });
    let checked = nobody.ok("ticket_create", check).await;
    assert!(checked.get("ticket").is_none());
    for (name, password) in [("a@nope", PASSWORD), ("nobody@pve", PASSWORD), (JANE, "wrong")] {
        let login = json!({"username": name, "password": password});
        let refused = nobody.error("ticket_create", login).await;
        assert_eq!(refused.message, "authentication failure");
        assert_eq!(refused.kind, ErrorKind::Unauthenticated);
    }
}

// covers: S3.80, S4.28
#[tokio::test]
async fn a_second_factor_is_added_asked_for_used_and_removed() {
    let bench = Bench::with_jane().await;
    let (jane, nobody) = (bench.jane().await, bench.nobody());
    let uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let app = auth::tfa::Totp::from_uri(uri).unwrap();
    let code = || app.code(app.step(bench.now()));
    let add = |value: String, password: &str| {
        json!({
            "userid": JANE, "type": "totp", "totp": uri, "value": value, "password": password,
            "description": "phone",
        })
    };
    let wrong = jane.error("tfa_create", add("000000".into(), PASSWORD)).await;
    assert!(wrong.fields.contains_key("value"));
    let stolen = jane.error("tfa_create", add(code(), "guessed")).await;
    assert_eq!(stolen.kind, ErrorKind::Unauthenticated);
    let id = jane.ok("tfa_create", add(code(), PASSWORD)).await["id"].clone();
    let recovery = json!({"userid": JANE, "type": "recovery", "password": PASSWORD});
    let codes = jane.ok("tfa_create", recovery.clone()).await;
    assert_eq!((codes["id"].as_str(), codes["recovery"].as_array().unwrap().len()), (Some("recovery"), 10));
    let twice = jane.error("tfa_create", recovery).await;
    assert_eq!(twice.message, "user already has recovery keys");
    let yubico = json!({"userid": JANE, "type": "yubico", "value": "x"});
    assert!(jane.error("tfa_create", yubico).await.fields.contains_key("type"));

    let entries = jane.ok("tfa_user", json!({"userid": JANE})).await;
    let entry = json!({
        "id": id, "type": "totp", "description": "phone", "created": bench.now(), "enable": 1,
    });
    assert_eq!(entries[0], entry);
    assert_eq!(entries[1]["type"], "recovery");
    assert_eq!(jane.ok("tfa_get", json!({"userid": JANE, "id": id})).await, entry);
    assert_eq!(jane.ok("tfa_list", json!({})).await[0]["userid"], JANE);
    let types = jane.ok("user_tfa", json!({"userid": JANE, "multiple": 1})).await;
    assert_eq!(types, json!({"types": ["totp", "recovery"]}));

    let login = json!({"username": JANE, "password": PASSWORD});
    let challenged = nobody.ok("ticket_create", login).await;
    assert_eq!(challenged["NeedTFA"], 1);
    assert!(challenged["CSRFPreventionToken"].is_string() && challenged.get("cap").is_none());
    let answer = |answer: String| {
        json!({"username": JANE, "password": answer, "tfa-challenge": challenged["ticket"]})
    };
    let first = codes["recovery"][0].as_str().unwrap();
    let session = nobody.ok("ticket_create", answer(format!("recovery:{first}"))).await;
    assert!(session.get("NeedTFA").is_none() && session["cap"].is_object());
    let again = nobody.error("ticket_create", answer(format!("recovery:{first}"))).await;
    assert_eq!(again.message, "authentication failure");

    let mut change = json!({"userid": JANE, "id": id, "password": PASSWORD, "enable": 0});
    jane.ok("tfa_update", change.clone()).await;
    assert_eq!(jane.ok("tfa_get", json!({"userid": JANE, "id": id})).await["enable"], 0);
    change.as_object_mut().unwrap().remove("enable");
    jane.ok("tfa_delete", change.clone()).await;
    assert_eq!(jane.error("tfa_delete", change).await.kind, ErrorKind::NotFound);
    assert_eq!(bench.root().ok("user_unlock_tfa", json!({"userid": JANE})).await, 0);
}

#[tokio::test]
async fn realms_are_the_built_in_ones() {
    let bench = Bench::new().await;
    let root = bench.root();
    let rows = bench.nobody().ok("domain_list", json!({})).await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(by(&rows, "realm", "pam")["comment"], "Linux PAM standard authentication");
    let pam = root.ok("domain_get", json!({"realm": "pam"})).await;
    assert_eq!(pam["digest"], "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    let change = json!({"realm": "pve", "comment": "ours", "default": 1, "digest": pam["digest"]});
    root.ok("domain_update", change.clone()).await;
    let rows = bench.nobody().ok("domain_list", json!({})).await;
    let row = json!({"realm": "pve", "type": "pve", "comment": "ours", "default": 1});
    assert_eq!(*by(&rows, "realm", "pve"), row);
    assert!(root.error("domain_update", change).await.message.contains("detected modified"));
    root.ok("domain_update", json!({"realm": "pve", "delete": "comment,default"})).await;
    let pve = root.ok("domain_get", json!({"realm": "pve"})).await;
    assert!(pve.get("comment").is_none() && pve.get("default").is_none());
    let ldap = root.error("domain_create", json!({"realm": "corp", "type": "ldap"})).await;
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

#[tokio::test]
async fn a_consoles_ticket_is_good_for_its_path_and_user() {
    let bench = Bench::with_jane().await;
    let grant = json!({"path": "/vms/100", "users": JANE, "roles": "PVEVMUser"});
    bench.root().ok("acl_update", grant).await;
    let who = bench.context.authority.identity_of(JANE).unwrap();
    let ticket = bench.context.authority.console_ticket(&who, "/vms/100", Some(5900));
    let ask = |path: &str, privs: &str, port: u32| {
        json!({"authid": JANE, "path": path, "privs": privs, "vncticket": ticket, "port": port})
    };
    let nobody = bench.nobody();
    let good = nobody.ok("vncticket_verify", ask("/vms/100", "VM.Console", 5900)).await;
    assert_eq!(good, Value::Null);
    for (path, port) in [("/vms/101", 5900), ("/vms/100", 5901), ("/vms/100", 70_000)] {
        let bad = nobody.error("vncticket_verify", ask(path, "VM.Console", port)).await;
        assert_eq!(bad.message, "permission denied - invalid PVEVNC ticket", "{path} {port}");
    }
    let more = nobody.error("vncticket_verify", ask("/vms/100", "VM.Allocate", 5900)).await;
    assert_eq!(more.message, "Permission check failed (/vms/100, VM.Allocate)");
}

#[tokio::test]
async fn pools_are_made_filled_shown_emptied_and_removed() {
    let bench = Bench::new().await;
    let root = bench.root();
    assert_eq!(root.ok("pool_list", json!({})).await, json!([]));
    root.ok("pool_create", json!({"poolid": "p1", "comment": "c"})).await;
    bench.add_guest(100, "web").await;
    root.ok("pool_update", json!({"poolid": "p1", "vms": "100", "storage": "local"})).await;
    let pool = root.ok("pool_get", json!({"poolid": "p1", "type": "qemu"})).await;
    let member = json!({
        "type": "qemu", "node": "pve1", "status": "unknown", "id": "qemu/100", "vmid": 100,
        "name": "web",
    });
    assert_eq!(pool, json!({"members": [member], "comment": "c", "poolid": "p1"}));
    let named = root.ok("pool_list", json!({"poolid": "p1"})).await;
    assert_eq!(named[0]["members"].as_array().unwrap().len(), 2);
    assert_eq!(root.ok("pool_list", json!({})).await, json!([{"poolid": "p1", "comment": "c"}]));
    let delete = json!({"poolid": "p1"});
    for text in [
        "delete pool failed: pool 'p1' is not empty (contains VM 100)",
        "delete pool failed: pool 'p1' is not empty (contains storage local)",
    ] {
        assert_eq!(root.error("pool_delete_by_path", delete.clone()).await.message, text);
        root.ok("pool_update", json!({"poolid": "p1", "vms": "100", "delete": 1})).await;
        root.ok("pool_update", json!({"poolid": "p1", "storage": "local", "delete": 1}))
            .await;
        break_after(&root, text).await;
    }
    root.ok("pool_delete", delete.clone()).await;
    let missing = root.error("pool_delete", delete.clone()).await;
    assert_eq!(missing.message, "delete pool failed: pool 'p1' does not exist");
    let missing = root.error("pool_get", json!({"poolid": "nope"})).await;
    assert_eq!(missing.message, "pool 'nope' does not exist");
}
