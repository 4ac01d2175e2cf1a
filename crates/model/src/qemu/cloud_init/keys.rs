//! Public SSH keys, in the format of `authorized_keys`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::qemu::drive::percent_decoded;

/// OpenSSH's key types, without certificates.
const TYPES: [&str; 8] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The lines of a percent-encoded list of keys, without empty ones. An invalid line is reported by
/// its number and not by its text, which may be a private key.
pub fn ssh_keys(encoded: &str) -> Result<Vec<String>, String> {
    let text = percent_decoded(encoded);
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.contains(char::is_control) || !is_public_key(line) {
            return Err(format!(
                "SSH public key validation error: line {number} is not a public key"
            ));
        }
        keys.push(line.to_owned());
    }
    // Clients empty the option to take keys away.
    if keys.is_empty() && !text.trim().is_empty() {
        return Err("SSH public key validation error: there is no key".to_owned());
    }
    Ok(keys)
}

/// `[options] type base64 [comment]`; options may hold spaces between quotes.
fn is_public_key(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let typed = words.iter().position(|word| TYPES.contains(word));
    let Some(at) = typed else { return false };
    let blob = words
        .get(at + 1)
        .and_then(|word| STANDARD.decode(word).ok());
    // RFC 4253, 6.6: the blob begins with the type again, prefixed by its length.
    blob.is_some_and(|blob| {
        let kind = words[at].as_bytes();
        let length = u32::try_from(kind.len()).unwrap_or(u32::MAX).to_be_bytes();
        blob.len() > kind.len() + 4 && blob.starts_with(&length) && blob[4..].starts_with(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH2rPr0jBlFDcSUnfhNNSNz9bFzWhWWbFOgFAm6N81pU";

    fn encoded(text: &str) -> String {
        text.replace('%', "%25")
            .replace(' ', "%20")
            .replace('\n', "%0A")
            .replace('"', "%22")
    }

    #[test]
    fn keys_are_lines_and_each_must_be_one() {
        let text = format!("{KEY} me@here\n\n# mine\nno-pty,command=\"a b\" {KEY}\n");
        let keys = ssh_keys(&encoded(&text)).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0], format!("{KEY} me@here"));
        assert!(ssh_keys("").unwrap().is_empty());
        let wrong = [
            "# none",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIH2rPr0jBlFDcSUnfhNNSNz9bFzWhWWbFOgFAm6N81pU",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ];
        for line in wrong {
            let text = format!("{line}\n");
            assert!(ssh_keys(&encoded(&text)).is_err(), "{line}");
        }
        let second = ssh_keys(&encoded(&format!("{KEY}\nsecret"))).unwrap_err();
        assert_eq!(
            second,
            "SSH public key validation error: line 2 is not a public key"
        );
    }
}
