//! The identity behind a ticket, a token or a process.

use super::*;

#[tokio::test]
async fn a_change_needs_the_csrf_token_of_the_same_user() {
    let bench = with_jane().await;
    let jane = session(bench.login("jane@pve", "correct horse").await.unwrap());
    let root = session(bench.login("root@pam", "machine").await.unwrap());
    assert!(
        bench.verify(&ticket(&jane, false), false).await.is_ok(),
        "a read needs none"
    );
    assert_eq!(
        bench.verify(&ticket(&jane, false), true).await,
        Err(AuthError::BadCsrf)
    );
    let crossed = Credential::Ticket {
        ticket: jane.ticket.clone(),
        csrf: Some(root.csrf),
    };
    assert_eq!(bench.verify(&crossed, true).await, Err(AuthError::BadCsrf));
}

#[tokio::test]
async fn nobody_and_other_processes_are_nobody_and_uid_0_is_root() {
    let bench = bench().await;
    assert_eq!(
        bench.verify(&Credential::None, false).await,
        Err(AuthError::NoCredential)
    );
    for (uid, expected) in [(Some(0), true), (Some(1000), false), (None, false)] {
        let caller = Caller { address: None, uid };
        let identity = bench
            .authority
            .verify(&Credential::Peer, true, caller)
            .await;
        assert_eq!(
            identity.is_ok_and(|identity| identity.is_root()),
            expected,
            "{uid:?}"
        );
    }
}

#[tokio::test]
async fn a_disabled_or_expired_user_is_nobody_at_once() {
    let bench = with_jane().await;
    let jane = session(bench.login("jane@pve", "correct horse").await.unwrap());
    bench
        .update(UserChange {
            enable: Some(false),
            ..UserChange::default()
        })
        .await;
    assert!(bench.verify(&ticket(&jane, true), true).await.is_err());
    assert!(bench.login("jane@pve", "correct horse").await.is_err());
    let soon = bench.clock.wall() + 100;
    let change = UserChange {
        enable: Some(true),
        expire: Some(soon),
        ..UserChange::default()
    };
    bench.update(change).await;
    let refused = bench.verify(&ticket(&jane, true), true).await;
    assert!(
        refused.is_err(),
        "the session does not come back with its user"
    );
    let jane = session(bench.login("jane@pve", "correct horse").await.unwrap());
    let identity = bench.verify(&ticket(&jane, true), true).await.unwrap();
    assert_eq!(identity.expires, soon, "an identity carries its expiry");
    bench.clock.advance(100);
    assert!(bench.verify(&ticket(&jane, true), true).await.is_err());
}

/// A ticket, and a console ticket issued at the same time.
async fn begun(bench: &Bench) -> (Credential, String) {
    let who = bench.authority.identity_of("jane@pve").unwrap();
    let console = bench.authority.console_ticket(&who, "/vms/100", None);
    (session_of(bench).await, console)
}

async fn create_jane(bench: &Bench) {
    let password = bench.authority.hash_password("correct horse").await;
    let (password, change) = (password.unwrap(), UserChange::default());
    let create = |a: &crate::Access| edit::users::create(a, &jane(), &change, Some(&password));
    bench.authority.change(create).await.unwrap();
}

#[tokio::test]
async fn tickets_end_with_the_password_and_the_user_they_were_made_for() {
    let bench = with_jane().await;
    let enable = |enable| UserChange {
        enable: Some(enable),
        ..UserChange::default()
    };
    let expire = |expire| UserChange {
        expire: Some(expire),
        ..UserChange::default()
    };
    for what in ["password", "deletion", "disabling", "expiry"] {
        let (session, console) = begun(&bench).await;
        let holder = bench.verify(&session, true).await.unwrap();
        let holder = bench.authority.holder(&holder).unwrap();
        let is_console = || {
            let (authority, path) = (&bench.authority, "/vms/100");
            authority
                .verify_console("jane@pve", path, Some(5900), &console)
                .is_ok()
        };
        assert!(is_console() && bench.authority.still(&holder).is_some());
        let renewed = match &session {
            Credential::Ticket { ticket, .. } => ticket.clone(),
            _ => unreachable!(),
        };
        match what {
            "password" => {
                // The same password again: an attacker with the ticket may know it.
                let password = bench.authority.hash_password("correct horse").await;
                let password = password.unwrap();
                let set = |a: &crate::Access| edit::passwords::set(a, &jane(), &password);
                bench.authority.change(set).await.unwrap();
            }
            "deletion" => {
                let delete = |a: &crate::Access| edit::users::delete(a, &jane());
                bench.authority.change(delete).await.unwrap();
                create_jane(&bench).await;
            }
            "expiry" => {
                bench.update(expire(bench.clock.wall() + 10)).await;
                bench.clock.advance(10);
                bench.update(expire(0)).await;
            }
            _ => {
                bench.update(enable(false)).await;
                bench.update(enable(true)).await;
            }
        }
        let refused = bench.verify(&session, true).await;
        assert_eq!(refused, Err(AuthError::BadCredential), "{what}");
        assert!(!is_console(), "{what}");
        assert!(bench.authority.still(&holder).is_none(), "{what}");
        assert!(bench.login("jane@pve", &renewed).await.is_err(), "{what}");
        let again = session_of(&bench).await;
        assert!(bench.verify(&again, true).await.is_ok(), "{what}");
    }
}

async fn session_of(bench: &Bench) -> Credential {
    let begun = bench.login("jane@pve", "correct horse").await.unwrap();
    ticket(&session(begun), true)
}

#[tokio::test]
async fn what_a_token_holds_ends_with_its_secret() {
    let bench = with_jane().await;
    let name: model::TokenName = "ci".parse().unwrap();
    with_token(&bench, TokenChange::default()).await;
    let holder = || {
        let who = bench.authority.identity_of("jane@pve!ci")?;
        bench.authority.holder(&who)
    };
    let first = holder().unwrap();
    let comment = TokenChange {
        comment: Some("x".into()),
        ..TokenChange::default()
    };
    let edit = |a: &crate::Access| edit::tokens::update(a, &jane(), &name, &comment, None);
    bench.authority.change(edit).await.unwrap();
    assert!(
        bench.authority.still(&first).is_some(),
        "a comment changes nothing"
    );
    let (_, kept) = new_token_secret();
    let edit = |a: &crate::Access| edit::tokens::update(a, &jane(), &name, &comment, Some(&kept));
    bench.authority.change(edit).await.unwrap();
    assert!(bench.authority.still(&first).is_none());
    let second = holder().unwrap();
    let edit = |a: &crate::Access| edit::tokens::delete(a, &jane(), &name);
    bench.authority.change(edit).await.unwrap();
    assert!(bench.authority.still(&second).is_none() && holder().is_none());
    with_token(&bench, TokenChange::default()).await;
    assert!(
        bench.authority.still(&second).is_none(),
        "another of the same name"
    );
}

// covers: S2.55, S4.30
#[tokio::test]
async fn a_token_is_known_by_its_secret_until_it_is_changed_or_removed() {
    let bench = with_jane().await;
    let secret = with_token(&bench, TokenChange::default()).await;
    let good = Credential::Token(format!("jane@pve!ci={secret}"));
    let identity = bench.verify(&good, true).await.unwrap();
    assert_eq!(identity.label(), "jane@pve!ci");
    assert!(identity.token.as_ref().unwrap().privilege_separation);
    for bad in [
        format!("jane@pve!ci={}", secret.replace(&secret[..1], "x")),
        format!("jane@pve!other={secret}"),
        format!("root@pam!ci={secret}"),
        format!("jane@pve={secret}"),
        "jane@pve!ci=".to_owned(),
        String::new(),
    ] {
        let refused = bench.verify(&Credential::Token(bad.clone()), false).await;
        assert_eq!(refused, Err(AuthError::BadCredential), "{bad}");
    }
    let (name, (second, kept)) = ("ci".parse().unwrap(), new_token_secret());
    let regenerate = |a: &crate::Access| {
        edit::tokens::update(a, &jane(), &name, &TokenChange::default(), Some(&kept))
    };
    bench.authority.change(regenerate).await.unwrap();
    assert!(bench.verify(&good, false).await.is_err(), "the old secret");
    let good = Credential::Token(format!("jane@pve!ci={second}"));
    assert!(bench.verify(&good, false).await.is_ok());
    bench
        .update(UserChange {
            enable: Some(false),
            ..UserChange::default()
        })
        .await;
    assert!(
        bench.verify(&good, false).await.is_err(),
        "the owner is disabled"
    );
    bench
        .update(UserChange {
            enable: Some(true),
            ..UserChange::default()
        })
        .await;
    bench
        .authority
        .change(|a| edit::tokens::delete(a, &jane(), &name))
        .await
        .unwrap();
    assert!(
        bench.verify(&good, false).await.is_err(),
        "the token is gone"
    );
}

#[tokio::test]
async fn an_expired_token_is_nobody() {
    let bench = with_jane().await;
    let expire = Some(bench.clock.wall() + 10);
    let secret = with_token(
        &bench,
        TokenChange {
            expire,
            ..TokenChange::default()
        },
    )
    .await;
    let credential = Credential::Token(format!("jane@pve!ci={secret}"));
    assert_eq!(
        Some(bench.verify(&credential, false).await.unwrap().expires),
        expire
    );
    bench.clock.advance(10);
    assert!(bench.verify(&credential, false).await.is_err());
}

#[tokio::test]
async fn old_tickets_stay_good_when_keys_are_replaced() {
    let bench = with_jane().await;
    let before = session(bench.login("jane@pve", "correct horse").await.unwrap());
    bench.clock.advance(10);
    bench.authority.rotate_keys().await.unwrap();
    assert!(bench.verify(&ticket(&before, true), true).await.is_ok());
    let after = session(bench.login("jane@pve", "correct horse").await.unwrap());
    assert!(bench.verify(&ticket(&after, true), true).await.is_ok());
}
