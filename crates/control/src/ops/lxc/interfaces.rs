//! `GET /nodes/{node}/lxc/{vmid}/interfaces`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Container;
use crate::ops::Op;

/// What `ip --json address` says of a link.
#[derive(Deserialize)]
struct Link {
    ifname: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    family: String,
    #[serde(default)]
    local: String,
    #[serde(default)]
    prefixlen: u8,
}

/// Null for a container that does not run, or not yet.
pub(super) async fn interfaces(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    op.records.lxc(vmid).await?;
    let node = &op.context.node;
    if !node.running.is_running(vmid).await? {
        return Ok(Answer::null());
    }
    let printed = match node.container_links(vmid).await {
        Ok(printed) => printed,
        // While a task starts or ends it there is nothing to enter.
        Err(error) => match op.records.lxc(vmid).await?.record.data.busy {
            Some(_) => return Ok(Answer::null()),
            None => return Err(error),
        },
    };
    let links: Vec<Link> = serde_json::from_slice(&printed)
        .map_err(|error| Error::bug(format!("the links cannot be read: {error}")))?;
    Ok(Answer::new(links.iter().map(row).collect::<Vec<Value>>()))
}

fn row(link: &Link) -> Value {
    let addresses = link.addr_info.iter().map(|address| {
        json!({
            "ip-address": address.local,
            "ip-address-type": address.family,
            "prefix": address.prefixlen,
        })
    });
    let mut row = json!({
        "name": link.ifname,
        "hwaddr": link.address,
        "hardware-address": link.address,
        "ip-addresses": addresses.collect::<Vec<Value>>(),
    });
    for family in ["inet", "inet6"] {
        let first = link
            .addr_info
            .iter()
            .find(|address| address.family == family);
        if let Some(Address {
            local, prefixlen, ..
        }) = first
        {
            row[family] = format!("{local}/{prefixlen}").into();
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_shown_with_its_addresses() {
        let link = json!({
            "ifname": "eth0", "address": "bc:24:11:00:00:01", "mtu": 1500,
            "addr_info": [
                {"family": "inet", "local": "10.0.0.5", "prefixlen": 24, "scope": "global"},
                {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
            ],
        });
        let expected = json!({
            "name": "eth0", "hwaddr": "bc:24:11:00:00:01", "hardware-address": "bc:24:11:00:00:01",
            "inet": "10.0.0.5/24", "inet6": "fe80::1/64",
            "ip-addresses": [
                {"ip-address": "10.0.0.5", "ip-address-type": "inet", "prefix": 24},
                {"ip-address": "fe80::1", "ip-address-type": "inet6", "prefix": 64},
            ],
        });
        assert_eq!(row(&serde_json::from_value(link).unwrap()), expected);
        let bare = json!({"ifname": "lo", "address": "00:00:00:00:00:00"});
        let row = row(&serde_json::from_value(bare).unwrap());
        assert_eq!(row["ip-addresses"], json!([]));
        assert!(row.get("inet").is_none());
    }
}
