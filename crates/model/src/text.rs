//! The rules that names follow, as plain predicates.

fn starts_with_letter(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn all(value: &str, allowed: fn(char) -> bool) -> bool {
    value.chars().all(allowed)
}

/// One label of a host name: letters, digits, inner hyphens; 63 at most (RFC 1123).
pub fn is_host_label(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= 63
        && all(value, |c| c.is_ascii_alphanumeric() || c == '-')
        && !value.starts_with('-')
        && !value.ends_with('-')
}

/// A host name of one or more labels.
pub fn is_dns_name(value: &str) -> bool {
    value.len() <= 253 && value.split('.').all(is_host_label)
}

/// Octets in lower case hexadecimal.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A certificate's fingerprint as browsers show it: `4F:00:…`.
pub fn fingerprint(octets: &[u8]) -> String {
    let octets = octets.iter().map(|octet| format!("{octet:02X}"));
    octets.collect::<Vec<_>>().join(":")
}

/// The UTC date, as `2026-11-25`.
pub fn utc_date(time: crate::UnixTime) -> String {
    let (year, month, day) = crate::calendar::civil_date(time.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The maximum length of the name of a storage and of a token. Proxmox VE sets no limit; here both
/// are parts of store keys and file names, which have one.
pub const STORAGE_ID_LENGTH: usize = 100;
pub const TOKEN_NAME_LENGTH: usize = 64;

/// The maximum length of a user with realm, a realm, and the name of a group, a role or one level
/// of a pool.
pub const USER_ID_LENGTH: usize = 64;
pub const REALM_LENGTH: usize = 32;
pub const CONFIG_NAME_LENGTH: usize = 128;

/// Three levels and two slashes.
pub const POOL_ID_LENGTH: usize = 3 * CONFIG_NAME_LENGTH + 2;

/// The maximum length of a volume's name below its storage.
pub const VOLUME_NAME_LENGTH: usize = 512;

/// The `pve-storage-id` rule of the schema.
pub fn is_storage_id(value: &str) -> bool {
    (2..=STORAGE_ID_LENGTH).contains(&value.len())
        && starts_with_letter(value)
        && all(value, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
        })
        && value.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// The `pve-realm` rule of the schema.
pub fn is_realm(value: &str) -> bool {
    (2..=REALM_LENGTH).contains(&value.len())
        && starts_with_letter(value)
        && all(value, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
        })
}

/// Groups and roles.
pub fn is_config_name(value: &str) -> bool {
    (1..=CONFIG_NAME_LENGTH).contains(&value.len())
        && all(value, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
        })
}

/// Pools nest up to three levels.
pub fn is_pool_id(value: &str) -> bool {
    let parts: Vec<&str> = value.split('/').collect();
    parts.len() <= 3 && parts.iter().all(|part| is_config_name(part))
}

pub fn is_token_name(value: &str) -> bool {
    (2..=TOKEN_NAME_LENGTH).contains(&value.len())
        && starts_with_letter(value)
        && all(value, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
        })
}

/// A login name: anything printable but white space, `:` and `/`.
pub fn is_user_name(value: &str) -> bool {
    !value.is_empty()
        && !value.contains(|c: char| c.is_whitespace() || c.is_control() || ":/!".contains(c))
}

/// A path below a storage: no empty, `.` or `..` component, nothing unprintable.
pub fn is_volume_name(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= VOLUME_NAME_LENGTH
        && !value.contains(|c: char| c.is_control())
        && value
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_have_two_digits() {
        assert_eq!(hex(&[0x4f, 0, 0xa]), "4f000a");
        assert_eq!(fingerprint(&[0x4f, 0, 0xa]), "4F:00:0A");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (time, date) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_795_614_420, "2026-11-25"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(utc_date(time), date);
        }
    }
}
