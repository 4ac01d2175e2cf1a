//! Codes that change with time (RFC 6238), as authenticator apps make them.

use aws_lc_rs::hmac;
use model::UnixTime;
use serde::{Deserialize, Serialize};

use crate::secret::same;

/// How many steps a code may be early or late.
pub(super) const TOLERANCE: i64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

/// The secret that app and server share.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    secret: String,
    algorithm: Algorithm,
    digits: u32,
    period: u32,
}

/// Why a text is not a valid `otpauth://totp/…` address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    #[error("not an otpauth uri")]
    Scheme,
    #[error("invalid TOTP address: {0}")]
    Invalid(&'static str),
}

impl Totp {
    /// Reads `otpauth://totp/LABEL?secret=BASE32&algorithm=…&digits=…&period=…`.
    pub fn from_uri(uri: &str) -> Result<Self, TotpError> {
        let rest = uri
            .strip_prefix("otpauth://totp/")
            .ok_or(TotpError::Scheme)?;
        let (_, query) = rest
            .split_once('?')
            .ok_or(TotpError::Invalid("no parameters"))?;
        let mut totp = Self {
            secret: String::new(),
            algorithm: Algorithm::Sha1,
            digits: 6,
            period: 30,
        };
        for pair in query.split('&') {
            let (name, value) = pair
                .split_once('=')
                .ok_or(TotpError::Invalid("a parameter has no value"))?;
            match name {
                "secret" => totp.secret = value.trim_end_matches('=').to_ascii_uppercase(),
                "algorithm" => totp.algorithm = algorithm(value)?,
                "digits" => {
                    totp.digits = value
                        .parse()
                        .map_err(|_| TotpError::Invalid("bad digits"))?
                }
                "period" => {
                    totp.period = value
                        .parse()
                        .map_err(|_| TotpError::Invalid("bad period"))?
                }
                _ => {}
            }
        }
        let key = base32(&totp.secret).ok_or(TotpError::Invalid("the secret is not base32"))?;
        if key.len() < 10 {
            return Err(TotpError::Invalid("the secret is shorter than 80 bits"));
        }
        if !(6..=8).contains(&totp.digits) || !(10..=600).contains(&totp.period) {
            return Err(TotpError::Invalid(
                "digits are 6 to 8 and a period 10 to 600 seconds",
            ));
        }
        Ok(totp)
    }

    /// The step of a code that is valid now and later than `used`. Store it, so that the code does
    /// not work again.
    pub fn verify(&self, code: &str, now: UnixTime, used: i64) -> Option<i64> {
        let current = now / i64::from(self.period);
        let mut found = None;
        for step in current - TOLERANCE..=current + TOLERANCE {
            // All steps are compared, so that the time does not depend on which one matches.
            if same(self.code(step).as_bytes(), code.as_bytes()) && step > used {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step.
    pub fn code(&self, step: i64) -> String {
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let key = base32(&self.secret).unwrap_or_default();
        let tag = hmac::sign(&hmac::Key::new(algorithm, &key), &step.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes[bytes.len() - 1] & 0xf);
        let mut word = [0; 4];
        word.copy_from_slice(&bytes[offset..offset + 4]);
        let number = (u32::from_be_bytes(word) & 0x7fff_ffff) % 10u32.pow(self.digits);
        format!("{number:0width$}", width = self.digits as usize)
    }

    pub fn step(&self, now: UnixTime) -> i64 {
        now / i64::from(self.period)
    }
}

impl std::fmt::Debug for Totp {
    /// Never prints the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Totp({:?}, {} digits, {} s)",
            self.algorithm, self.digits, self.period
        )
    }
}

fn algorithm(name: &str) -> Result<Algorithm, TotpError> {
    match name.to_ascii_uppercase().as_str() {
        "SHA1" => Ok(Algorithm::Sha1),
        "SHA256" => Ok(Algorithm::Sha256),
        "SHA512" => Ok(Algorithm::Sha512),
        _ => Err(TotpError::Invalid("unknown algorithm")),
    }
}

/// RFC 4648 base32 without padding.
fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'2'..=b'7' => character - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << 5 | u32::from(value)) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc(secret: &str, algorithm: &str) -> Totp {
        let uri = format!("otpauth://totp/x?secret={secret}&algorithm={algorithm}&digits=8");
        Totp::from_uri(&uri).unwrap()
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B; the seeds are "12345678901234567890" and its longer repetitions.
        let sha1 = rfc("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "SHA1");
        assert_eq!(sha1.code(59 / 30), "94287082");
        assert_eq!(sha1.code(1_111_111_109 / 30), "07081804");
        assert_eq!(sha1.code(20_000_000_000 / 30), "65353130");
        let sha256 = rfc(
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA",
            "SHA256",
        );
        assert_eq!(sha256.code(59 / 30), "46119246");
    }

    #[test]
    fn a_code_is_good_one_step_around_now_and_only_once() {
        let totp = rfc("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "SHA1");
        let now = 1_800_000_000;
        let step = totp.step(now);
        for around in [-1, 0, 1] {
            assert_eq!(
                totp.verify(&totp.code(step + around), now, 0),
                Some(step + around)
            );
        }
        assert_eq!(totp.verify(&totp.code(step - 2), now, 0), None);
        assert_eq!(totp.verify(&totp.code(step + 2), now, 0), None);
        assert_eq!(
            totp.verify(&totp.code(step), now, step),
            None,
            "used already"
        );
        assert_eq!(totp.verify("", now, 0), None);
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in [
            "",
            "otpauth://hotp/x?secret=GEZDGNBVGY3TQOJQ",
            "otpauth://totp/x",
            "otpauth://totp/x?secret=18",
            "otpauth://totp/x?secret=GEZDGNBV",
            "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&digits=99",
            "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&period=0",
            "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&algorithm=MD5",
        ] {
            assert!(Totp::from_uri(bad).is_err(), "{bad}");
        }
    }
}
