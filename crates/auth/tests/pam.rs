//! The helper with a real libpam; pam_wrapper's module replaces the host's users (Debian:
//! libpam-wrapper).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::sync::Arc;

use auth::pam::{PamHelper, PamRunner};
use sys::RealHost;

const WRAPPER: &str = "/usr/lib/x86_64-linux-gnu/libpam_wrapper.so";
const MATRIX: &str = "/usr/lib/x86_64-linux-gnu/pam_wrapper/pam_matrix.so";

/// Runs this program again, as the helper: the agent does the same with `ostler pam-helper`.
fn helper() -> String {
    std::env::current_exe()
        .expect("a test knows where it is")
        .display()
        .to_string()
}

const AS_HELPER: &[&str] = &["be_the_helper", "--exact", "--nocapture"];

/// Not a test of its own: the others start it with a question on its standard input.
#[test]
fn be_the_helper() {
    if std::env::var_os("PAM_WRAPPER").is_some() {
        std::process::exit(auth::pam::helper_code().into());
    }
}

fn missing() -> Option<&'static str> {
    [WRAPPER, MATRIX]
        .into_iter()
        .find(|path| !Path::new(path).exists())
}

/// A service with jane and one password.
fn runner(folder: &Path) -> PamHelper {
    let users = folder.join("users");
    let services = folder.join("services");
    std::fs::create_dir(&services).unwrap();
    std::fs::write(&users, "jane:right horse:ostler\nempty::ostler\n").unwrap();
    let module = format!("required {MATRIX} passdb={}", users.display());
    std::fs::write(
        services.join("ostler"),
        format!("auth {module}\naccount {module}\n"),
    )
    .unwrap();
    let host = Arc::new(RealHost::open("ostler-auth-test").expect("the machine has cgroups"));
    PamHelper::new(host, helper(), AS_HELPER)
        .env("LD_PRELOAD", WRAPPER)
        .env("PAM_WRAPPER", "1")
        .env("PAM_WRAPPER_SERVICE_DIR", &services.display().to_string())
}

// covers: S4.28
#[tokio::test]
async fn the_machine_says_whether_a_password_is_right() {
    if let Some(missing) = missing() {
        let reason = format!("{missing} is missing (apt install libpam-wrapper)");
        testkit::left_out::missing("PAM", reason);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pam = runner(folder.path());
    assert_eq!(pam.authenticate("jane", "right horse").await, Ok(true));
    for (user, password) in [
        ("jane", "wrong"),
        ("jane", ""),
        ("jane", "right horse\0"),
        ("joe", "right horse"),
    ] {
        assert_eq!(
            pam.authenticate(user, password).await,
            Ok(false),
            "{user} {password}"
        );
    }
}

#[tokio::test]
async fn a_helper_that_cannot_be_started_or_says_something_else_is_an_error() {
    let host = Arc::new(RealHost::open("ostler-auth-test").expect("the machine has cgroups"));
    for program in ["/nonexistent", "/bin/true", "/bin/false", "/bin/cat"] {
        let answer = PamHelper::new(host.clone(), program, &[])
            .authenticate("jane", "x")
            .await;
        // `false` exits as a helper that refuses does; the others give no valid answer.
        assert_eq!(
            answer.is_err(),
            program != "/bin/false",
            "{program}: {answer:?}"
        );
        assert_ne!(answer, Ok(true), "{program}");
    }
}
