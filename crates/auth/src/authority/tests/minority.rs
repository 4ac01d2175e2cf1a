//! Logins while the store has no majority.

use store::{Read, Store};
use testkit::MinorityStore;

use super::*;
use crate::keys;
use crate::tfa::Factors;

/// Jane with an authenticator app, and a store that can lose its majority.
async fn scene() -> (Bench, Arc<MinorityStore>, Totp) {
    let mut bench = with_jane().await;
    let totp = bench.add_totp().await;
    let store = MinorityStore::new(bench.store.clone(), bench.clock.clone());
    let store = Arc::new(store);
    bench.authority = restarted(&bench, store.clone()).await;
    (bench, store, totp)
}

/// The authority of a process that has just started.
async fn restarted(bench: &Bench, store: store::SharedStore) -> Authority {
    let made = Authority::new(store, bench.clock.clone(), bench.pam.clone()).await;
    made.unwrap()
}

async fn login(authority: &Authority, code: &str) -> Result<Login, AuthError> {
    let mut request = request("jane@pve", "correct horse");
    request.otp = Some(code.to_owned());
    authority.login(request).await
}

fn is_session(login: &Result<Login, AuthError>) -> bool {
    matches!(login, Ok(Login::Session(_)))
}

#[tokio::test]
async fn sessions_passwords_and_tokens_work_without_a_majority() {
    let bench = with_jane().await;
    let secret = with_token(&bench, TokenChange::default()).await;
    let store = MinorityStore::new(bench.store.clone(), bench.clock.clone());
    let store = Arc::new(store);
    store.lose();
    // Also those of an agent that starts now.
    let authority = restarted(&bench, store).await;
    let login = authority.login(request("jane@pve", "correct horse")).await;
    let session = session(login.unwrap());
    let caller = Caller::default();
    let ticket = ticket(&session, true);
    let verified = authority.verify(&ticket, true, caller).await;
    assert_eq!(verified.unwrap().user, jane());
    let token = Credential::Token(format!("jane@pve!ci={secret}"));
    assert!(authority.verify(&token, true, caller).await.is_ok());
    let wrong = authority.login(request("jane@pve", "wrong")).await;
    assert!(matches!(wrong, Err(AuthError::LoginFailed)));
    let rotated = authority.rotate_keys().await;
    let refused = rotated.unwrap_err().to_string();
    assert_eq!(refused, "cluster not ready - no quorum?");
}

#[tokio::test]
async fn a_code_works_once_without_a_majority_too() {
    let (bench, store, totp) = scene().await;
    let code = || totp.code(totp.step(bench.clock.wall()));
    store.lose();
    let early = login(&bench.authority, &code()).await;
    assert!(!is_session(&early), "it may have been used elsewhere");
    bench.clock.advance(90);
    let used = code();
    assert!(is_session(&login(&bench.authority, &used).await));
    assert!(!is_session(&login(&bench.authority, &used).await));
    // A process that knows nothing of it takes later codes only.
    let restarted = restarted(&bench, store.clone()).await;
    assert!(!is_session(&login(&restarted, &used).await));
    bench.clock.advance(90);
    assert!(is_session(&login(&restarted, &code()).await));
}

#[tokio::test]
async fn a_recovery_code_waits_for_a_majority() {
    let (bench, store, _) = scene().await;
    let (entry, codes) = RecoveryEntry::generate(bench.clock.wall());
    let add = |factors: &mut Factors| {
        factors.recovery = Some(entry.clone());
        Some(())
    };
    let added = bench.authority.change_factors(&jane(), add).await;
    added.unwrap();
    let challenge = bench.login("jane@pve", "correct horse").await.unwrap();
    let Login::Challenge { ticket, .. } = challenge else {
        panic!("no second factor was asked for")
    };
    let answer = async || {
        let mut answer = request("jane@pve", &format!("recovery:{}", codes[0]));
        answer.tfa_challenge = Some(ticket.clone());
        bench.authority.login(answer).await
    };
    store.lose();
    assert!(!is_session(&answer().await));
    store.regain();
    assert!(is_session(&answer().await), "it was not used up");
}

#[tokio::test]
async fn what_was_used_is_stored_once_there_is_a_majority() {
    let (bench, store, totp) = scene().await;
    store.lose();
    bench.clock.advance(90);
    let used = totp.code(totp.step(bench.clock.wall()));
    let key = keys::tfa_secret(&jane());
    let record = async || bench.store.get(&key, Read::Linear).await.unwrap().0;
    let stored = async {
        let before = record().await;
        assert!(is_session(&login(&bench.authority, &used).await));
        assert_eq!(record().await, before);
        // Now `follow` has seen that the majority is missing.
        tokio::task::yield_now().await;
        store.regain();
        while record().await == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = bench.authority.follow() => unreachable!("it never returns"),
        () = store::conformance::within("the use is stored", stored) => {}
    }
    let elsewhere = restarted(&bench, bench.store.clone()).await;
    assert!(!is_session(&login(&elsewhere, &used).await));
}
