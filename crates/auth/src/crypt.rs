//! Passwords for other systems, in the format of crypt(5).

use sha_crypt::{CustomizedPasswordHasher, Params, ShaCrypt};

use crate::AuthError;
use crate::secret::random;

/// Whether a text already is a password hash, in one of the schemes that cloud-init knows.
pub fn is_crypted(text: &str) -> bool {
    let mut parts = text.split('$');
    let scheme = parts.nth(1).unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    text.starts_with('$')
        && ["1", "5", "6", "2a", "2y"].contains(&scheme)
        && rest.len() >= 2
        && rest.iter().take(2).all(|part| !part.is_empty())
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// SHA-256, which Proxmox VE uses for the passwords of guests.
pub fn crypt(password: &str) -> Result<String, AuthError> {
    // Twelve bytes become sixteen characters, the maximum that crypt(3) uses.
    let salt: [u8; 12] = random();
    ShaCrypt::SHA256
        .hash_password_customized(password.as_bytes(), &salt, None, None, Params::RECOMMENDED)
        .map(|hash| hash.to_string())
        .map_err(|error| AuthError::Broken(format!("cannot hash a password: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha_crypt::PasswordVerifier;

    #[test]
    fn a_hash_is_one_that_crypt_reads() {
        let hash = crypt("secret of lab").unwrap();
        let parts: Vec<&str> = hash.split('$').collect();
        assert_eq!(parts[..3], ["", "5", "rounds=5000"]);
        assert_eq!((parts[3].len(), parts[4].len()), (16, 43));
        assert!(is_crypted(&hash));
        assert!(
            ShaCrypt::SHA256
                .verify_password(b"secret of lab", hash.as_str())
                .is_ok()
        );
        // From the specification of SHA-crypt.
        let known = "$5$rounds=10000$saltstringsaltst$3xv.VbSCBX41eDL9L3voE7fvYfZjfMeAxEcsxSqZ6V4";
        assert!(is_crypted(known));
    }

    #[test]
    fn what_is_no_hash_is_a_password() {
        for text in [
            "", "$", "$5$", "$5$salt", "$9$a$b", "x$5$a$b", "$5$$b", "$5$a$b c",
        ] {
            assert!(!is_crypted(text), "{text}");
        }
        for text in ["$5$salt$hash", "$2y$05$abc", "$6$rounds=5000$s$h"] {
            assert!(is_crypted(text), "{text}");
        }
    }
}
