//! Who a ticket, a token or a process is.

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
    let identity = bench.verify(&ticket(&jane, true), true).await.unwrap();
    assert_eq!(
        identity.expires, soon,
        "whoever keeps the identity knows its end"
    );
    bench.clock.advance(100);
    assert!(bench.verify(&ticket(&jane, true), true).await.is_err());
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
