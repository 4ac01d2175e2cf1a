//! From a password to a session.

use super::*;

// covers: S4.28
#[tokio::test]
async fn a_user_of_the_machine_logs_in_with_the_machines_password() {
    let bench = bench().await;
    let session = session(bench.login("root@pam", "machine").await.unwrap());
    assert_eq!(session.identity.user, UserId::root());
    let identity = bench.verify(&ticket(&session, true), true).await.unwrap();
    assert!(identity.is_root());
    let mut by_realm = request("root", "machine");
    by_realm.realm = Some("pam".into());
    assert!(bench.authority.login(by_realm).await.is_ok());
    assert_eq!(
        bench.login("root@pam", "wrong").await.err(),
        Some(AuthError::LoginFailed)
    );
}

#[tokio::test]
async fn the_machine_is_not_asked_about_users_that_nobody_made() {
    let bench = bench().await;
    for name in ["daemon@pam", "root@nope", "root", "", "nobody@pve"] {
        assert_eq!(
            bench.login(name, "machine").await.err(),
            Some(AuthError::LoginFailed)
        );
    }
    assert!(bench.pam.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_machine_that_cannot_be_asked_lets_nobody_in() {
    let bench = bench().await;
    let (id, change) = ("broken@pam".parse().unwrap(), UserChange::default());
    bench
        .authority
        .change(|a| edit::users::create(a, &id, &change, None))
        .await
        .unwrap();
    assert_eq!(
        bench.login("broken@pam", "x").await.err(),
        Some(AuthError::LoginFailed)
    );
}

#[tokio::test]
async fn a_platform_user_logs_in_with_the_stored_password() {
    let bench = with_jane().await;
    assert!(bench.login("jane@pve", "correct horse").await.is_ok());
    for wrong in ["", "correct horsf", "correct horse "] {
        assert_eq!(
            bench.login("jane@pve", wrong).await.err(),
            Some(AuthError::LoginFailed)
        );
    }
}

#[tokio::test]
async fn a_session_ends_after_two_hours_and_can_be_renewed_before() {
    let bench = with_jane().await;
    let first = session(bench.login("jane@pve", "correct horse").await.unwrap());
    bench.clock.advance(7000);
    let second = session(bench.login("jane@pve", &first.ticket).await.unwrap());
    bench.clock.advance(300);
    assert_eq!(
        bench.verify(&ticket(&first, true), true).await,
        Err(AuthError::BadCredential)
    );
    assert!(bench.verify(&ticket(&second, true), true).await.is_ok());
    assert!(bench.login("jane@pve", &first.ticket).await.is_err());
}

#[tokio::test]
async fn only_roots_ticket_makes_tickets_for_others() {
    let bench = with_jane().await;
    let root = session(bench.login("root@pam", "machine").await.unwrap());
    let jane = session(bench.login("jane@pve", "correct horse").await.unwrap());
    assert!(bench.login("jane@pve", &root.ticket).await.is_ok());
    assert!(bench.login("root@pam", &jane.ticket).await.is_err());
    assert!(bench.login("nobody@pve", &root.ticket).await.is_err());
}

// covers: S3.80
#[tokio::test]
async fn with_a_second_factor_the_password_gives_only_a_challenge() {
    let bench = with_jane().await;
    let totp = bench.add_totp().await;
    let login = bench.login("jane@pve", "correct horse").await.unwrap();
    let Login::Challenge {
        ticket: challenge,
        csrf,
        ..
    } = login
    else {
        panic!("no second factor was asked for")
    };
    let as_session = Credential::Ticket {
        ticket: challenge.clone(),
        csrf: Some(csrf),
    };
    assert!(
        bench.verify(&as_session, false).await.is_err(),
        "a challenge opens nothing"
    );
    assert!(
        bench.login("jane@pve", &challenge).await.is_err(),
        "and renews nothing"
    );
    let code = totp.code(totp.step(bench.clock.wall()));
    let answer = |challenge: &str, answer: String| {
        let mut answer = request("jane@pve", &answer);
        answer.tfa_challenge = Some(challenge.to_owned());
        answer
    };
    let answered = |request| bench.authority.login(request);
    assert!(
        answered(answer(&challenge, "totp:000000".into()))
            .await
            .is_err()
    );
    assert!(
        answered(answer("PVE:!tfa!x:00000000::", format!("totp:{code}")))
            .await
            .is_err()
    );
    let right = answered(answer(&challenge, format!("totp:{code}")))
        .await
        .unwrap();
    assert!(
        bench
            .verify(&ticket(&session(right), true), true)
            .await
            .is_ok()
    );
    assert!(
        answered(answer(&challenge, format!("totp:{code}")))
            .await
            .is_err(),
        "used"
    );
}

#[tokio::test]
async fn a_code_can_come_with_the_password() {
    let bench = with_jane().await;
    let totp = bench.add_totp().await;
    let mut one_step = request("jane@pve", "correct horse");
    one_step.otp = Some(totp.code(totp.step(bench.clock.wall())));
    assert!(matches!(
        bench.authority.login(one_step).await,
        Ok(Login::Session(_))
    ));
}

// covers: S3.80
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_simultaneous_logins_with_one_code_one_succeeds() {
    let bench = Arc::new(with_jane().await);
    let (entry, codes) = RecoveryEntry::generate(bench.clock.wall());
    let jane = jane();
    let set = bench.authority.change_factors(&jane, |factors| {
        factors.recovery = Some(entry.clone());
        Some(())
    });
    set.await.unwrap().unwrap();
    let Login::Challenge {
        ticket: challenge, ..
    } = bench.login("jane@pve", "correct horse").await.unwrap()
    else {
        panic!("no second factor was asked for")
    };
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (bench, challenge) = (bench.clone(), challenge.clone());
        let password = format!("recovery:{}", codes[0]);
        logins.spawn(async move {
            let mut request = request("jane@pve", &password);
            request.tfa_challenge = Some(challenge);
            bench.authority.login(request).await.is_ok()
        });
    }
    assert_eq!(
        logins.join_all().await.into_iter().filter(|ok| *ok).count(),
        1
    );
}

#[tokio::test]
async fn after_ten_failures_even_the_right_password_is_wrong_for_a_minute() {
    let bench = with_jane().await;
    for _ in 0..10 {
        assert!(bench.login("jane@pve", "wrong").await.is_err());
    }
    assert_eq!(
        bench.login("jane@pve", "correct horse").await.err(),
        Some(AuthError::LoginFailed)
    );
    let mut elsewhere = request("jane@pve", "correct horse");
    elsewhere.address = Some("10.0.0.2".into());
    assert!(bench.authority.login(elsewhere).await.is_ok());
    bench.clock.advance(60);
    assert!(bench.login("jane@pve", "correct horse").await.is_ok());
}

#[tokio::test]
async fn a_login_can_ask_for_rights_instead_of_a_session() {
    let bench = with_jane().await;
    let ask = |password: &str, path: &str, privilege| {
        let mut request = request("jane@pve", password);
        let check = TicketCheck {
            path: path.into(),
            privileges: vec![privilege],
        };
        request.check = Some(check);
        bench.authority.login(request)
    };
    let console = Privilege::VmConsole;
    assert!(
        ask("correct horse", "/vms/100", console).await.is_err(),
        "no such right yet"
    );
    let grant = AclChange {
        path: "/vms/100".into(),
        roles: vec!["PVEVMUser".into()],
        subjects: vec![(SubjectKind::User, "jane@pve".into())],
        propagate: true,
        delete: false,
    };
    let give = |a: &crate::Access| edit::acl::change(a, &grant, &a.view(&Identity::root(), 0));
    bench.authority.change(give).await.unwrap();
    assert!(matches!(
        ask("correct horse", "/vms/100", console).await,
        Ok(Login::Checked { .. })
    ));
    assert!(ask("wrong", "/vms/100", console).await.is_err());
    assert!(
        ask("correct horse", "/vms/100", Privilege::VmAllocate)
            .await
            .is_err()
    );
    let identity = bench.authority.identity_of("jane@pve").unwrap();
    let vnc = bench.authority.console_ticket(&identity, "/vms/100", None);
    assert!(
        ask(&vnc, "/vms/100", console).await.is_ok(),
        "a console's ticket proves as much"
    );
    assert!(ask(&vnc, "/vms/101", console).await.is_err());
    bench.clock.advance(41);
    assert!(ask(&vnc, "/vms/100", console).await.is_err());
}
