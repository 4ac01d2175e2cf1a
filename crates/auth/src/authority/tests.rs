//! Logins, credentials and changes against a store in memory, on a clock that stands still.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, Privilege, Sleep, UnixTime, UserId};
use proto::{Credential, Identity};
use store::MemoryStore;

use super::{Authority, Caller, Login, LoginRequest, Session, TicketCheck, new_token_secret};
use crate::edit;
use crate::edit::acl::AclChange;
use crate::edit::tokens::TokenChange;
use crate::edit::users::UserChange;
use crate::error::{AccessError, AuthError};
use crate::pam::{PamError, PamRunner};
use crate::records::SubjectKind;
use crate::tfa::{RecoveryEntry, Totp};

struct ManualClock(AtomicI64);

impl ManualClock {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixTime {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.wall().unsigned_abs())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Knows root's password and remembers who was asked about.
#[derive(Default)]
struct FakePam {
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl PamRunner for FakePam {
    async fn authenticate(&self, user: &str, password: &str) -> Result<bool, PamError> {
        self.asked.lock().unwrap().push(user.to_owned());
        match user {
            "broken" => Err(PamError("no PAM here".into())),
            _ => Ok(password == "machine"),
        }
    }
}

struct Bench {
    authority: Authority,
    clock: Arc<ManualClock>,
    pam: Arc<FakePam>,
    store: Arc<MemoryStore>,
}

async fn bench() -> Bench {
    let clock = Arc::new(ManualClock(AtomicI64::new(1_800_000_000)));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let pam = Arc::new(FakePam::default());
    let authority = Authority::new(store.clone(), clock.clone(), pam.clone())
        .await
        .unwrap();
    Bench {
        authority,
        clock,
        pam,
        store,
    }
}

fn jane() -> UserId {
    "jane@pve".parse().unwrap()
}

async fn with_jane() -> Bench {
    let bench = bench().await;
    let password = bench
        .authority
        .hash_password("correct horse")
        .await
        .unwrap();
    let change = UserChange::default();
    let create = |a: &crate::Access| edit::users::create(a, &jane(), &change, Some(&password));
    bench.authority.change(create).await.unwrap();
    bench
}

fn request(username: &str, password: &str) -> LoginRequest {
    LoginRequest {
        username: username.into(),
        realm: None,
        password: password.into(),
        otp: None,
        tfa_challenge: None,
        address: Some("10.0.0.1".into()),
        check: None,
    }
}

fn session(login: Login) -> Session {
    match login {
        Login::Session(session) => session,
        Login::Challenge { .. } => panic!("a challenge instead of a session"),
        Login::Checked { .. } => panic!("a check instead of a session"),
    }
}

fn ticket(session: &Session, csrf: bool) -> Credential {
    Credential::Ticket {
        ticket: session.ticket.clone(),
        csrf: csrf.then(|| session.csrf.clone()),
    }
}

impl Bench {
    async fn login(&self, username: &str, password: &str) -> Result<Login, AuthError> {
        self.authority.login(request(username, password)).await
    }

    async fn verify(&self, credential: &Credential, csrf: bool) -> Result<Identity, AuthError> {
        self.authority
            .verify(credential, csrf, Caller::default())
            .await
    }

    async fn update(&self, change: UserChange) {
        self.authority
            .change(|a| edit::users::update(a, &jane(), &change))
            .await
            .unwrap();
    }

    /// Gives jane an app; the code that proves it is used up.
    async fn add_totp(&self) -> Totp {
        let totp = Totp::from_uri("otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let totp = totp.unwrap();
        let (now, app, jane) = (self.clock.wall(), totp.clone(), jane());
        let added = self.authority.change_factors(&jane, |factors| {
            factors.add_totp(app.clone(), &app.code(app.step(now)), "phone".into(), now)
        });
        added.await.unwrap().unwrap();
        self.clock.advance(60);
        totp
    }
}

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

async fn with_token(bench: &Bench, change: TokenChange) -> String {
    let (secret, kept) = new_token_secret();
    let name = "ci".parse().unwrap();
    let create = |a: &crate::Access| edit::tokens::create(a, &jane(), &name, &change, &kept);
    bench.authority.change(create).await.unwrap();
    secret
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
async fn a_deleted_user_leaves_nothing_behind() {
    let bench = with_jane().await;
    with_token(&bench, TokenChange::default()).await;
    bench.add_totp().await;
    let grant = AclChange {
        path: "/vms".into(),
        roles: vec!["PVEAuditor".into()],
        subjects: vec![
            (SubjectKind::User, "jane@pve".into()),
            (SubjectKind::Token, "jane@pve!ci".into()),
        ],
        propagate: true,
        delete: false,
    };
    let give = |a: &crate::Access| edit::acl::change(a, &grant, &a.view(&Identity::root(), 0));
    bench.authority.change(give).await.unwrap();
    bench
        .authority
        .change(|a| edit::users::delete(a, &jane()))
        .await
        .unwrap();
    let everything = store::Prefix::all();
    let (entries, _) = store::list_all(&*bench.store, &everything, store::Read::Linear)
        .await
        .unwrap();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(
        keys,
        ["access/order", "secret/keys/csrf", "secret/keys/ticket"]
    );
    assert!(bench.authority.access().user(&jane()).is_none());
}

#[tokio::test]
async fn a_group_of_many_is_removed_from_every_member() {
    let bench = bench().await;
    let group = "crowd".parse().unwrap();
    bench
        .authority
        .change(|a| edit::groups::create(a, &group, ""))
        .await
        .unwrap();
    for number in 0..230 {
        let id: UserId = format!("u{number}@pve").parse().unwrap();
        let groups = Some([group.clone()].into_iter().collect());
        let change = UserChange {
            groups,
            ..UserChange::default()
        };
        bench
            .authority
            .change(|a| edit::users::create(a, &id, &change, None))
            .await
            .unwrap();
    }
    bench
        .authority
        .change(|a| edit::groups::delete(a, &group))
        .await
        .unwrap();
    let fresh = crate::Access::load(&*bench.store, store::Read::Linear)
        .await
        .unwrap();
    assert!(fresh.group(&group).is_none());
    assert!(fresh.users().values().all(|user| user.groups.is_empty()));
    assert_eq!(fresh.users().len(), 231);
}

#[tokio::test]
async fn two_nodes_see_each_others_changes_and_tickets() {
    let here = with_jane().await;
    let (store, clock, pam) = (here.store.clone(), here.clock.clone(), here.pam.clone());
    let there = Arc::new(Authority::new(store, clock, pam).await.unwrap());
    let following = {
        let there = there.clone();
        tokio::spawn(async move { there.follow().await })
    };
    let login = session(here.login("jane@pve", "correct horse").await.unwrap());
    let credential = ticket(&login, true);
    assert!(
        there
            .verify(&credential, true, Caller::default())
            .await
            .is_ok()
    );
    here.update(UserChange {
        enable: Some(false),
        ..UserChange::default()
    })
    .await;
    let mut refused = false;
    for _ in 0..200 {
        refused = there
            .verify(&credential, true, Caller::default())
            .await
            .is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(refused, "the change did not arrive");
    // A change on top of what the other node changed meanwhile.
    let change = UserChange {
        comment: Some("x".into()),
        ..UserChange::default()
    };
    there
        .change(|a| edit::users::update(a, &jane(), &change))
        .await
        .unwrap();
    let fresh = here.authority.refresh().await.unwrap();
    let user = fresh.user(&jane()).unwrap();
    assert_eq!((user.enable, user.comment.as_str()), (false, "x"));
    following.abort();
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

#[tokio::test]
async fn a_record_of_a_newer_version_is_not_overwritten() {
    let bench = bench().await;
    let key = crate::keys::user(&jane());
    let newer = br#"{"v":99,"data":{}}"#.to_vec();
    store::Store::commit(&*bench.store, store::Commit::new().put(key, newer))
        .await
        .unwrap();
    let fresh = crate::Access::load(&*bench.store, store::Read::Linear)
        .await
        .unwrap();
    let created = edit::users::create(&fresh, &jane(), &UserChange::default(), None);
    assert!(matches!(created, Err(AccessError::Newer(_))));
}
