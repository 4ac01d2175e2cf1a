//! Passwords, sessions, second factors, tokens, console tickets.

use super::bench::{Bench, JANE, PASSWORD};
use model::ErrorKind;
use proto::Credential;
use serde_json::{Value, json};

// covers: S2.55, S4.30
#[tokio::test]
async fn a_token_is_shown_once_and_may_what_it_was_given() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    root.ok(
        "acl_update",
        json!({"path": "/", "users": JANE, "roles": "PVEAdmin"}),
    )
    .await;
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
    assert_eq!(
        jane.ok("token_list", json!({"userid": JANE})).await,
        json!([row])
    );

    let token = bench.token(&format!("jane@pve!ci={secret}"));
    let refused = token.error("pool_create", json!({"poolid": "pt"})).await;
    assert_eq!(
        refused.message,
        "Permission check failed (/pool/pt, Pool.Allocate)"
    );
    let grant = json!({"path": "/pool", "tokens": "jane@pve!ci", "roles": "Administrator"});
    root.ok("acl_update", grant).await;
    token.ok("pool_create", json!({"poolid": "pt"})).await;
    let shown = token.ok("permissions_get", json!({"path": "/pool"})).await;
    assert_eq!(shown["/pool"]["Pool.Allocate"], 1);
    assert!(
        shown["/pool"].get("Sys.PowerMgmt").is_none(),
        "its owner cannot either"
    );
    let more = token
        .error("token_create", json!({"userid": JANE, "tokenid": "all"}))
        .await;
    assert_eq!(
        more.kind,
        ErrorKind::Forbidden,
        "a token makes no tokens of its owner's"
    );

    let mut regenerate = id.clone();
    regenerate["regenerate"] = 1.into();
    let renewed = jane.ok("token_update", regenerate).await;
    assert_ne!(renewed["value"], made["value"]);
    assert_eq!(
        token.error("pool_list", json!({})).await.kind,
        ErrorKind::Unauthenticated
    );
    jane.ok("token_delete", id.clone()).await;
    let gone = jane.error("token_get", id).await;
    assert_eq!(gone.message, "no such token 'ci' for user 'jane@pve'");
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
    assert_eq!(wrong.message, "invalid credentials");
    jane.ok("password_update", change(Some(PASSWORD))).await;
    let login = |password: &str| json!({"username": JANE, "password": password});
    assert_eq!(
        bench
            .nobody()
            .error("ticket_create", login(PASSWORD))
            .await
            .message,
        "authentication failure"
    );
    bench
        .nobody()
        .ok("ticket_create", login("another one"))
        .await;
    root.ok(
        "password_update",
        json!({"userid": JANE, "password": "a third one"}),
    )
    .await;
    bench
        .nobody()
        .ok("ticket_create", login("a third one"))
        .await;
    let pam = root.error(
        "password_update",
        json!({"userid": "root@pam", "password": "12345678"}),
    );
    assert!(pam.await.fields["userid"].contains("operating system"));
}

/// The api may claim any client address.
#[tokio::test]
async fn made_up_addresses_buy_no_guesses_and_lock_nobody_out() {
    let bench = Bench::with_jane().await;
    let api = || bench.hostile_api(Credential::None);
    let login = |password: &str| json!({"username": JANE, "password": password});
    let desk = "10.9.9.9";
    api().from(desk).ok("ticket_create", login(PASSWORD)).await;
    for number in 0..30 {
        let stranger = api().from(&format!("10.0.0.{number}"));
        stranger.error("ticket_create", login("guessed")).await;
    }
    let locked = api().from("10.0.0.99");
    let refused = locked.error("ticket_create", login(PASSWORD)).await;
    assert_eq!(refused.message, "authentication failure");
    for known in [desk, "127.0.0.1"] {
        api().from(known).ok("ticket_create", login(PASSWORD)).await;
    }
    // Another process has guesses of its own, but not for jane.
    let refused = bench.nobody().from("10.0.0.99");
    refused.error("ticket_create", login(PASSWORD)).await;
}

#[tokio::test]
async fn a_session_says_what_its_owner_can_do() {
    let bench = Bench::with_jane().await;
    let grant = json!({"path": "/vms/100", "users": JANE, "roles": "PVEVMUser"});
    bench.root().ok("acl_update", grant).await;
    let nobody = bench.nobody();
    let login = json!({"username": "jane", "realm": "pve", "password": PASSWORD});
    let session = nobody.ok("ticket_create", login.clone()).await;
    assert_eq!(session["username"], JANE);
    assert_eq!(session["cap"]["vms"]["VM.Console"], 1);
    assert_eq!(session["cap"]["nodes"], json!({}));
    // A privilege of one area does not appear in another.
    assert_eq!(session["cap"]["dc"], json!({}));
    let grant = json!({"path": "/", "users": JANE, "roles": "PVESDNAdmin,PVEMappingUser"});
    bench.root().ok("acl_update", grant).await;
    let everywhere = nobody.ok("ticket_create", login.clone()).await;
    assert_eq!(everywhere["cap"]["dc"]["SDN.Use"], 1);
    assert_eq!(everywhere["cap"]["sdn"]["SDN.Use"], 1);
    assert_eq!(everywhere["cap"]["mapping"]["Mapping.Use"], 1);
    assert!(everywhere["cap"]["dc"].get("Mapping.Use").is_none());
    for area in ["access", "dc", "mapping", "nodes", "sdn", "storage", "vms"] {
        assert!(session["cap"][area].is_object(), "{area}");
    }
    assert_eq!(nobody.ok("ticket_get", json!({})).await, Value::Null);
    let check = json!({
        "username": JANE, "password": PASSWORD, "path": "/vms/100", "privs": "VM.Console",
    });
    let checked = nobody.ok("ticket_create", check).await;
    assert!(checked.get("ticket").is_none());
    for (name, password) in [
        ("a@nope", PASSWORD),
        ("nobody@pve", PASSWORD),
        (JANE, "wrong"),
    ] {
        let login = json!({"username": name, "password": password});
        let refused = nobody.error("ticket_create", login).await;
        assert_eq!(refused.message, "authentication failure");
        assert_eq!(refused.kind, ErrorKind::Unauthenticated);
    }
}

const APP: &str = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn code(bench: &Bench) -> String {
    let app = auth::tfa::Totp::from_uri(APP).unwrap();
    app.code(app.step(bench.now()))
}

fn add(value: String, password: &str) -> Value {
    json!({
        "userid": JANE, "type": "totp", "totp": APP, "value": value, "password": password,
        "description": "phone",
    })
}

fn add_recovery() -> Value {
    json!({"userid": JANE, "type": "recovery", "password": PASSWORD})
}

// covers: S3.80
#[tokio::test]
async fn a_second_factor_is_added_by_who_knows_password_and_code() {
    let bench = Bench::with_jane().await;
    let jane = bench.jane().await;
    let wrong = jane
        .error("tfa_create", add("000000".into(), PASSWORD))
        .await;
    assert_eq!(wrong.message, "failed to verify TOTP challenge");
    let stolen = jane.error("tfa_create", add(code(&bench), "guessed")).await;
    assert_eq!(stolen.message, "invalid credentials");
    jane.ok("tfa_create", add(code(&bench), PASSWORD)).await;
    jane.ok("tfa_create", add_recovery()).await;
    let twice = jane.error("tfa_create", add_recovery()).await;
    assert_eq!(twice.message, "user already has recovery keys");
    let yubico = json!({"userid": JANE, "type": "yubico", "value": "x", "password": PASSWORD});
    let refused = jane.error("tfa_create", yubico).await;
    let text = "no yubico otp configuration available for realm pve";
    assert_eq!(refused.message, text);
    let key = json!({"userid": JANE, "type": "webauthn", "password": PASSWORD});
    let refused = jane.error("tfa_create", key).await;
    assert!(refused.fields.contains_key("type"));
}

#[tokio::test]
async fn second_factors_are_shown_changed_and_removed() {
    let bench = Bench::with_jane().await;
    let jane = bench.jane().await;
    let id = jane.ok("tfa_create", add(code(&bench), PASSWORD)).await["id"].clone();
    jane.ok("tfa_create", add_recovery()).await;
    let entries = jane.ok("tfa_user", json!({"userid": JANE})).await;
    let entry = json!({
        "id": id, "type": "totp", "description": "phone", "created": bench.now(),
    });
    assert_eq!(entries[0], entry);
    assert_eq!(entries[1]["type"], "recovery");
    let one = json!({"userid": JANE, "id": id});
    assert_eq!(jane.ok("tfa_get", one.clone()).await, entry);
    assert_eq!(jane.ok("tfa_list", json!({})).await[0]["userid"], JANE);
    let types = jane
        .ok("user_tfa", json!({"userid": JANE, "multiple": 1}))
        .await;
    assert_eq!(types, json!({"user": ["totp", "recovery"]}));

    let mut change = json!({"userid": JANE, "id": id, "password": PASSWORD, "enable": 0});
    jane.ok("tfa_update", change.clone()).await;
    assert_eq!(jane.ok("tfa_get", one.clone()).await["enable"], 0);
    let codes = json!({"userid": JANE, "id": "recovery", "password": PASSWORD, "enable": 0});
    let whole = jane.error("tfa_update", codes).await;
    assert_eq!(whole.message, "no such entry");
    change.as_object_mut().unwrap().remove("enable");
    jane.ok("tfa_delete", change.clone()).await;
    assert_eq!(
        jane.error("tfa_delete", change).await.kind,
        ErrorKind::NotFound
    );
    assert_eq!(jane.error("tfa_get", one).await.kind, ErrorKind::Absent);
    let (root, user) = (bench.root(), json!({"userid": JANE}));
    assert_eq!(root.ok("user_unlock_tfa", user.clone()).await, 0);
    let codes = json!({"userid": JANE, "id": "recovery"});
    root.ok("tfa_delete", codes).await;
    let without = root.error("user_unlock_tfa", user).await;
    assert_eq!(without.message, "no such user");
}

// covers: S3.80, S4.28
#[tokio::test]
async fn a_login_with_a_second_factor_takes_two_steps() {
    let bench = Bench::with_jane().await;
    let (jane, nobody) = (bench.jane().await, bench.nobody());
    jane.ok("tfa_create", add(code(&bench), PASSWORD)).await;
    let codes = jane.ok("tfa_create", add_recovery()).await;
    assert_eq!(codes["id"], "recovery");
    assert_eq!(codes["recovery"].as_array().unwrap().len(), 10);
    let login = json!({"username": JANE, "password": PASSWORD});
    let challenged = nobody.ok("ticket_create", login).await;
    assert_eq!(challenged["NeedTFA"], 1);
    assert!(challenged["CSRFPreventionToken"].is_string() && challenged.get("cap").is_none());
    let answer = |answer: String| json!({"username": JANE, "password": answer, "tfa-challenge": challenged["ticket"]});
    let first = codes["recovery"][0].as_str().unwrap();
    let session = nobody
        .ok("ticket_create", answer(format!("recovery:{first}")))
        .await;
    assert!(session.get("NeedTFA").is_none() && session["cap"].is_object());
    let again = nobody
        .error("ticket_create", answer(format!("recovery:{first}")))
        .await;
    assert_eq!(again.message, "authentication failure");
}

#[tokio::test]
async fn a_consoles_ticket_is_good_for_its_path_and_user() {
    let bench = Bench::with_jane().await;
    let grant = json!({"path": "/vms/100", "users": JANE, "roles": "PVEVMUser"});
    bench.root().ok("acl_update", grant).await;
    let who = bench.context.authority.identity_of(JANE).unwrap();
    let ticket = bench
        .context
        .authority
        .console_ticket(&who, "/vms/100", Some(5900));
    let ask = |path: &str, privs: &str, port: u32| json!({"authid": JANE, "path": path, "privs": privs, "vncticket": ticket, "port": port});
    let nobody = bench.nobody();
    let good = nobody
        .ok("vncticket_verify", ask("/vms/100", "VM.Console", 5900))
        .await;
    assert_eq!(good, Value::Null);
    for (path, port) in [("/vms/101", 5900), ("/vms/100", 5901), ("/vms/100", 70_000)] {
        let bad = nobody
            .error("vncticket_verify", ask(path, "VM.Console", port))
            .await;
        assert_eq!(
            bad.message, "permission denied - invalid PVEVNC ticket",
            "{path} {port}"
        );
    }
    let more = nobody
        .error("vncticket_verify", ask("/vms/100", "VM.Allocate", 5900))
        .await;
    assert_eq!(
        more.message,
        "Permission check failed (/vms/100, VM.Allocate)"
    );
}
