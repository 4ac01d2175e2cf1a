//! The DNS settings of the node.

/// The content of `resolv.conf`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    pub servers: Vec<String>,
    pub search: Vec<String>,
}

/// The resolver of the C library uses no more servers than this (resolv.conf(5)).
const SERVERS_MAX: usize = 3;

impl Dns {
    /// Reads `resolv.conf`. A server on a loopback address is left out: guests cannot reach it.
    pub fn of_resolv_conf(text: &str) -> Self {
        let mut dns = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => dns.servers.extend(words.next().map(str::to_owned)),
                // The last entry applies.
                Some("search" | "domain") => dns.search = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        dns.servers.retain(|server| {
            let address = server.parse::<std::net::IpAddr>();
            address.is_ok_and(|address| !address.is_loopback())
        });
        dns.servers.truncate(SERVERS_MAX);
        dns.search.retain(|domain| domain != ".");
        dns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_domains_are_read() {
        let text = "# made by hand\nnameserver 127.0.0.53\nnameserver 10.0.0.53\n\
                    domain old.example\nsearch lab.example example.com\noptions edns0\n";
        let dns = Dns::of_resolv_conf(text);
        assert_eq!(dns.servers, ["10.0.0.53"]);
        assert_eq!(dns.search, ["lab.example", "example.com"]);
    }
}
