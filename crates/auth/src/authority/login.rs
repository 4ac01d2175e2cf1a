//! From a password to a session.

use model::{Privilege, UserId};
use proto::Identity;

use super::{Authority, Caller};
use crate::error::AuthError;
use crate::keys;
use crate::limit::Attempt;
use crate::records::RealmKind;
use crate::ticket::SESSION_SECONDS;

/// A login as it arrives. Holds a password, so it is never printed.
pub struct LoginRequest {
    /// With or without `@realm`.
    pub username: String,
    pub realm: Option<String>,
    /// A password; a ticket that is still good (renewal); with a challenge, the answer to it.
    pub password: String,
    /// The code of an app, given at once.
    pub otp: Option<String>,
    pub tfa_challenge: Option<String>,
    pub address: Option<String>,
    /// The uid of the process that asks, from the kernel.
    pub process: Option<u32>,
    /// Only find out whether the user may do this.
    pub check: Option<TicketCheck>,
}

/// Privileges that must all be held on a path.
pub struct TicketCheck {
    pub path: String,
    pub privileges: Vec<Privilege>,
}

/// What a browser needs from now on.
pub struct Session {
    pub identity: Identity,
    pub ticket: String,
    pub csrf: String,
}

/// What came of a login.
pub enum Login {
    Session(Session),
    /// The password was right and a second factor is wanted: the ticket comes back with it.
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
    /// The user that is meant. A realm that is given twice is meant once.
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
    /// Logs somebody in. Whatever is wrong, the answer is the same and takes about as long.
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
        // As it is before anything is looked at: what changes meanwhile voids what comes of this.
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
            // A session that is still good can be renewed; root's can be turned into anybody's.
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

    /// Proves who somebody is by a console's ticket or by password, and looks at their rights.
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

    /// Whether a password is this user's. Unknown and disabled users take as long.
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
                    .read::<PasswordRecord>(&keys::password_secret(user))
                    .await?;
                let hash = stored.map(|(record, _)| record.data.hash);
                self.passwords.verify(password, hash).await
            }
            None => self.passwords.verify(password, None).await,
        }
    }

    /// Whether somebody who is logged in knows their own password: asked for before changes
    /// that would let whoever sits at their browser take the account over. Counts as a login.
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

/// A hashed password on its way to the store.
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

/// A name as a stranger typed it, fit for the log.
fn printable(name: &str) -> String {
    name.chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect()
}
