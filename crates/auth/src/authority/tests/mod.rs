//! An authority with a store in memory, on a clock that stands still.

mod changes;
mod credentials;
mod logins;
mod minority;
mod seal;

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

/// Knows root's password and records the users it was asked about.
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
        process: None,
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
            .change(|a| edit::users::update(a, &jane(), &change, self.clock.wall()))
            .await
            .unwrap();
    }

    /// Gives jane an authenticator app; the code that confirms it is used up.
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

async fn with_token(bench: &Bench, change: TokenChange) -> String {
    let (secret, kept) = new_token_secret();
    let name = "ci".parse().unwrap();
    let create = |a: &crate::Access| edit::tokens::create(a, &jane(), &name, &change, &kept);
    bench.authority.change(create).await.unwrap();
    secret
}
