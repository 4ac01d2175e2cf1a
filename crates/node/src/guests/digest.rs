//! The digest of a configuration: what a caller knew when a change was made up.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest as hash};
use model::text::hex;
use model::{GuestRecord, PendingChange};

/// SHA-1, in hexadecimal, of the canonical text of what `GET …/config` and `GET …/pending` show.
/// Never of revision, owner, epoch or busy: those change without the configuration.
pub fn digest(guest: &GuestRecord) -> String {
    let mut text = guest.config.canonical_text();
    for (name, change) in &guest.pending {
        match change {
            PendingChange::Set(value) => text.push_str(&format!("[pending] {name}: {value}\n")),
            PendingChange::Delete { force } => {
                text.push_str(&format!("[pending] delete {name} {force}\n"));
            }
        }
    }
    text_digest(text.as_bytes())
}

/// SHA-1, in hexadecimal, of a file's text.
pub fn text_digest(text: &[u8]) -> String {
    let hash = hash(&SHA1_FOR_LEGACY_USE_ONLY, text);
    hex(hash.as_ref())
}
