//! What a request shows to say who is asking. Nothing is verified here.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE};
use percent_encoding::percent_decode_str;
use proto::Credential;

const COOKIE_NAME: &str = "PVEAuthCookie";
const TOKEN_NAME: &str = "PVEAPIToken";

/// Reads the credential of a request. The cookie wins over the header.
pub(crate) fn credential(headers: &HeaderMap) -> Credential {
    if let Some(ticket) = cookie(headers) {
        return ticket_with_csrf(ticket, headers);
    }
    let Some(authorization) = text(headers, &AUTHORIZATION) else {
        return Credential::None;
    };
    if let Some(token) = after_name(authorization, TOKEN_NAME) {
        return Credential::Token(decode(token));
    }
    match after_name(authorization, COOKIE_NAME) {
        Some(ticket) => ticket_with_csrf(decode(ticket), headers),
        None => Credential::None,
    }
}

fn text(headers: &HeaderMap, name: impl hyper::header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What follows `NAME=` or `NAME `.
fn after_name<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value
        .trim()
        .strip_prefix(name)?
        .strip_prefix(['=', ' '])
        .map(str::trim)
}

fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
        .filter(|ticket| !ticket.is_empty())
        .map(decode)
}

fn ticket_with_csrf(ticket: String, headers: &HeaderMap) -> Credential {
    let csrf = text(headers, "CSRFPreventionToken").map(str::to_owned);
    Credential::Ticket { ticket, csrf }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Credential {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        credential(&headers)
    }

    fn ticket(text: &str) -> Credential {
        Credential::Ticket {
            ticket: text.into(),
            csrf: None,
        }
    }

    #[test]
    fn all_ways_in_which_clients_say_who_they_are() {
        assert_eq!(of(&[]), Credential::None);
        assert_eq!(
            of(&[("cookie", "a=b; PVEAuthCookie=PVE%3Aroot@pam%3A1")]),
            ticket("PVE:root@pam:1")
        );
        assert_eq!(
            of(&[("authorization", "PVEAuthCookie=PVE:x")]),
            ticket("PVE:x")
        );
        let token = Credential::Token("root@pam!t=uuid".into());
        assert_eq!(
            of(&[("authorization", "PVEAPIToken=root@pam!t=uuid")]),
            token
        );
        assert_eq!(
            of(&[("authorization", "PVEAPIToken root%40pam!t=uuid")]),
            token
        );
        assert_eq!(of(&[("authorization", "Bearer x")]), Credential::None);
        let both = [
            ("cookie", "PVEAuthCookie=PVE:c"),
            ("authorization", "PVEAPIToken=t"),
        ];
        assert_eq!(of(&both), ticket("PVE:c"));
    }
}
