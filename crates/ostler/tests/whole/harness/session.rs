//! Sessions that no client can start here.

/// Accepts every password: root's is locked on hosts like these.
struct Yes;

#[async_trait::async_trait]
impl auth::pam::PamRunner for Yes {
    async fn authenticate(&self, _: &str, _: &str) -> Result<bool, auth::pam::PamError> {
        Ok(true)
    }
}

/// Ticket and CSRF token of a session of root@pam, signed with the keys in the node's store.
pub async fn root_session(store: &store::SharedStore) -> (String, String) {
    let clock = std::sync::Arc::new(sys::SystemClock::new());
    let pam = std::sync::Arc::new(Yes);
    let authority = auth::Authority::new(store.clone(), clock, pam)
        .await
        .unwrap();
    let request = auth::LoginRequest {
        username: "root@pam".into(),
        realm: None,
        password: "any".into(),
        otp: None,
        tfa_challenge: None,
        address: None,
        process: None,
        check: None,
    };
    match authority.login(request).await.unwrap() {
        auth::Login::Session(session) => (session.ticket, session.csrf),
        _ => panic!("no session"),
    }
}
