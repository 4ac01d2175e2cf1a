//! From a password to a session.

use model::{Privilege, UserId};
use proto::Identity;
use store::Read;

use super::{Authority, Caller};
use crate::error::AuthError;
use crate::keys;
use crate::limit::Attempt;
use crate::records::RealmKind;
use crate::ticket::SESSION_SECONDS;

/// A login request. Contains a password, so it is never printed.
pub struct LoginRequest {
    /// With or without `@realm`.
    pub username: String,
    pub realm: Option<String>,
    /// A password; a valid ticket (renewal); or the answer to a challenge.
    pub password: String,
    /// The code of an authenticator app, sent with the password.
    pub otp: Option<String>,
    pub tfa_challenge: Option<String>,
    pub address: Option<String>,
    /// The uid of the calling process, from the kernel.
    pub process: Option<u32>,
    /// Only check whether the user has these privileges.
    pub check: Option<TicketCheck>,
}

/// Privileges that must all be held on a path.
pub struct TicketCheck {
    pub path: String,
    pub privileges: Vec<Privilege>,
}

/// The tokens that a browser sends from now on.
pub struct Session {
    pub identity: Identity,
    pub ticket: String,
    pub csrf: String,
}

/// The result of a login.
pub enum Login {
    Session(Session),
    /// The password was right and a second factor is required; this ticket must accompany it.
    Challenge {
        user: UserId,
        ticket: String,
        csrf: String,
    },
    /// The check was passed; there is no session.
    Checked {
        user: UserId,
    },
}

impl LoginRequest {
    /// The user. A realm given both in the name and as a parameter counts once.
    fn user(&self) -> Option<UserId> {
        let name = match &self.realm {
            Some(realm) if !self.username.ends_with(&format!("@{realm}")) => {
                format!("{}@{realm}", self.username)
            }
            _ => self.username.clone(),
        };
        UserId::new(name).ok()
    }
}

impl Authority {
    /// Logs a user in. All failures have the same answer and take about the same time.
    pub async fn login(&self, request: LoginRequest) -> Result<Login, AuthError> {
        let name = request
            .user()
            .map_or_else(|| request.username.clone(), |user| user.to_string());
        let address = request.address.as_deref();
        let attempt = Attempt {
            user: &name,
            address,
            process: request.process,
        };
        let now = self.clock.monotonic();
        if !self.failures.allows(attempt, now) {
            tracing::warn!(user = %printable(&name), address, "too many failed logins");
            return Err(AuthError::LoginFailed);
        }
        let outcome = self.try_login(&request).await;
        if let Err(error) = &outcome {
            tracing::warn!(user = %printable(&name), address, %error, "login failed");
        }
        match &outcome {
            Err(AuthError::LoginFailed) => self.failures.failed(attempt, now),
            Ok(Login::Session(_)) => self.failures.succeeded(attempt, now),
            _ => {}
        }
        outcome
    }

    async fn try_login(&self, request: &LoginRequest) -> Result<Login, AuthError> {
        let Some(user) = request.user() else {
            self.passwords.verify(&request.password, None).await?;
            return Err(AuthError::LoginFailed);
        };
        if let Some(check) = &request.check {
            return self.check_login(user, request, check).await;
        }
        // Read before anything is checked: a change in the meantime voids the new session.
        let sessions = self.sessions_of(&user).unwrap_or_default();
        if let Some(challenge) = &request.tfa_challenge {
            let now = self.clock.wall();
            if self.is_active(&user)
                && self.signer().is_challenge(challenge, &user, sessions, now)
                && self.answer_factor(&user, &request.password).await?
            {
                return Ok(Login::Session(self.session(user, sessions)));
            }
            return Err(AuthError::LoginFailed);
        }
        if let Some(by) = self.ticket_owner(&request.password) {
            // A valid session can be renewed; root's can be exchanged for any user's.
            if self.is_active(&user) && (by == user || by.is_root()) {
                tracing::info!(%user, %by, "session by ticket");
                return Ok(Login::Session(self.session(user, sessions)));
            }
        }
        if !self.verify_password(&user, &request.password).await? {
            return Err(AuthError::LoginFailed);
        }
        self.second_step(user, sessions, request.otp.as_deref())
            .await
    }

    async fn second_step(
        &self,
        user: UserId,
        sessions: u64,
        otp: Option<&str>,
    ) -> Result<Login, AuthError> {
        let Some(challenge) = self.wanted_factors(&user).await? else {
            return Ok(Login::Session(self.session(user, sessions)));
        };
        match otp {
            Some(code) if self.answer_factor(&user, &format!("totp:{code}")).await? => {
                Ok(Login::Session(self.session(user, sessions)))
            }
            Some(_) => Err(AuthError::LoginFailed),
            None => {
                let (now, signer) = (self.clock.wall(), self.signer());
                let ticket = signer.challenge(&user, sessions, &challenge.to_string(), now);
                let csrf = signer.csrf(&user, now);
                Ok(Login::Challenge { user, ticket, csrf })
            }
        }
    }

    /// Authenticates by a console ticket or a password, then checks privileges.
    async fn check_login(
        &self,
        user: UserId,
        request: &LoginRequest,
        check: &TicketCheck,
    ) -> Result<Login, AuthError> {
        let path = crate::acl::normalize(&check.path).ok_or(AuthError::LoginFailed)?;
        let console = self
            .verify_console(user.as_str(), &path, None, &request.password)
            .is_ok();
        let proven = console
            || (self.verify_password(&user, &request.password).await?
                && matches!(
                    self.second_step(user.clone(), 0, request.otp.as_deref())
                        .await?,
                    Login::Session(_)
                ));
        let who = self
            .identity_of(user.as_str())
            .ok_or(AuthError::LoginFailed)?;
        let access = self.access();
        let may = access
            .view(&who, self.clock.wall())
            .require(&path, &check.privileges)
            .is_ok();
        if proven && may {
            Ok(Login::Checked { user })
        } else {
            Err(AuthError::LoginFailed)
        }
    }

    fn is_active(&self, user: &UserId) -> bool {
        self.access()
            .user(user)
            .is_some_and(|user| user.is_active(self.clock.wall()))
    }

    fn ticket_owner(&self, password: &str) -> Option<UserId> {
        let sessions = |user: &UserId| self.sessions_of(user);
        let now = self.clock.wall();
        let (owner, _) = self.signer().open_session(password, sessions, now)?;
        self.is_active(&owner).then_some(owner)
    }

    fn sessions_of(&self, user: &UserId) -> Option<u64> {
        self.access().user(user).map(|user| user.sessions)
    }

    fn session(&self, user: UserId, sessions: u64) -> Session {
        let (now, signer) = (self.clock.wall(), self.signer());
        let ticket = signer.session(&user, sessions, now);
        let csrf = signer.csrf(&user, now);
        let expires = now + SESSION_SECONDS;
        Session {
            identity: Identity {
                user,
                token: None,
                expires,
            },
            ticket,
            csrf,
        }
    }

    /// Whether the password is right. Unknown and disabled users take as long.
    async fn verify_password(&self, user: &UserId, password: &str) -> Result<bool, AuthError> {
        let access = self.access();
        let realm = access.realm(user.realm()).filter(|_| self.is_active(user));
        match realm.map(|realm| realm.kind) {
            Some(RealmKind::Pam) => {
                let _slot = self.pam_slots.acquire().await;
                match self.pam.authenticate(user.name(), password).await {
                    Ok(right) => Ok(right),
                    Err(error) => {
                        tracing::error!(%user, %error, "login is impossible");
                        Ok(false)
                    }
                }
            }
            Some(RealmKind::Pve) => {
                let stored = self
                    .read::<PasswordRecord>(&keys::password_secret(user), Read::Local)
                    .await?;
                let hash = stored.map(|(record, _)| record.data.hash);
                self.passwords.verify(password, hash).await
            }
            None => self.passwords.verify(password, None).await,
        }
    }

    /// Checks the password of a user who is logged in. Asked for before changes that would let
    /// anyone at an unlocked browser take over the account. Counts as a login attempt.
    pub async fn confirm_password(
        &self,
        user: &UserId,
        password: &str,
        caller: Caller<'_>,
    ) -> Result<(), AuthError> {
        let attempt = Attempt {
            user: user.as_str(),
            address: caller.address,
            process: caller.uid,
        };
        let now = self.clock.monotonic();
        if !self.failures.allows(attempt, now) {
            return Err(AuthError::LoginFailed);
        }
        if self.verify_password(user, password).await? {
            return Ok(());
        }
        self.failures.failed(attempt, now);
        Err(AuthError::LoginFailed)
    }

    /// The hash of a password of realm `pve`, for `edit::passwords`.
    pub async fn hash_password(&self, password: &str) -> Result<PasswordHash, AuthError> {
        self.passwords
            .hash(password)
            .await
            .map(|hash| PasswordHash(PasswordRecord { hash }))
    }
}

/// A password hash to be written to the store.
pub struct PasswordHash(PasswordRecord);

impl PasswordHash {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, crate::AccessError> {
        model::Record::new(PasswordRecord {
            hash: self.0.hash.clone(),
        })
        .encode()
        .map_err(|_| crate::AccessError::Broken("a password cannot be written".to_owned()))
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct PasswordRecord {
    hash: String,
}

/// A user name from an unauthenticated caller, made safe for the log.
fn printable(name: &str) -> String {
    name.chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect()
}
