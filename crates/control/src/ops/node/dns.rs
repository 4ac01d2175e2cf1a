//! `GET /nodes/{node}/dns`

use model::Error;
use proto::wire::Answer;
use serde_json::{Map, Value};

use crate::ops::Op;

/// How many name servers the resolver uses.
const SERVERS: usize = 3;

pub(super) async fn dns(op: Op) -> Result<Answer, Error> {
    let text = op.context.node.etc("resolv.conf").await?;
    let text = text.unwrap_or_default();
    Ok(Answer::new(parse(&String::from_utf8_lossy(&text))))
}

fn parse(text: &str) -> Map<String, Value> {
    let mut answer = Map::new();
    let mut servers = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("search" | "domain"), Some(domain)) => {
                answer.insert("search".into(), domain.into());
            }
            (Some("nameserver"), Some(server)) if servers < SERVERS => {
                servers += 1;
                answer.insert(format!("dns{servers}"), server.into());
            }
            _ => {}
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_numbered() {
        let text = "# made by hand\nsearch example.com other.example\nnameserver 192.0.2.53\n\
                    nameserver 192.0.2.54\nnameserver ::1\nnameserver ::2\noptions edns0\n";
        let wanted = serde_json::json!({"search": "example.com", "dns1": "192.0.2.53",
                                        "dns2": "192.0.2.54", "dns3": "::1"});
        assert_eq!(Value::Object(parse(text)), wanted);
        assert!(parse("nameserver\n").is_empty());
    }
}
