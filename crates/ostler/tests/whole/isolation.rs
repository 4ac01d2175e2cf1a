//! Guests that do not reach each other on their bridge, with real traffic of containers.

use serde_json::json;

use crate::harness::namespace::inside;
use crate::harness::{TestNode, until};
use crate::lxc_life::{created, inside as said, is_left_out, template};

const LINKS: &str = "ip link add vmbr0 type bridge && ip addr add 10.9.0.1/24 dev vmbr0 && \
    ip link set vmbr0 up";

fn reaches(node: &TestNode, vmid: u32, address: &str) -> bool {
    let ping = ["/bin/busybox", "ping", "-c", "1", "-W", "3", address];
    said(node, vmid, &ping).contains(" 0% packet loss")
}

async fn started(node: &TestNode, vmid: u32, tags: &str) {
    let params = json!({
        "node": "pve1", "vmid": vmid, "ostemplate": "local:vztmpl/busy.tar.gz", "memory": 64,
        "rootfs": "local:0.1", "unprivileged": 1, "tags": tags, "start": 1,
        "net0": format!("name=eth0,bridge=vmbr0,ip=10.9.0.{vmid}/24"),
    });
    assert_eq!(created(node, params).await, "OK");
    until("its network is up", async || {
        reaches(node, vmid, "10.9.0.1")
    })
    .await;
}

// covers: S2.70
#[test]
fn customers_reach_the_gateway_and_not_each_other() {
    if is_left_out("isolation") {
        return;
    }
    inside(LINKS, async {
        let node = TestNode::start(async |_| {}).await;
        template(&node, "busy.tar.gz");
        let isolation = json!({"tags": "customer"});
        node.call("ostler_isolation_update", isolation)
            .await
            .unwrap();
        started(&node, 101, "customer").await;
        started(&node, 102, "customer").await;
        started(&node, 103, "").await;
        // From their first packet on.
        assert!(!reaches(&node, 101, "10.9.0.102"));
        assert!(!reaches(&node, 102, "10.9.0.101"));
        assert!(reaches(&node, 101, "10.9.0.103") && reaches(&node, 103, "10.9.0.102"));

        // What changes later reaches ports that are there.
        let untagged = json!({"node": "pve1", "vmid": 102, "delete": "tags"});
        node.call("lxc_configure", untagged).await.unwrap();
        until("they reach each other", async || {
            reaches(&node, 101, "10.9.0.102")
        })
        .await;
        node.call("pool_create", json!({"poolid": "tenants"}))
            .await
            .unwrap();
        let members = json!({"poolid": "tenants", "vms": "102"});
        node.call("pool_update", members).await.unwrap();
        let isolation = json!({"pools": "tenants"});
        node.call("ostler_isolation_update", isolation)
            .await
            .unwrap();
        until("they do not reach each other", async || {
            !reaches(&node, 101, "10.9.0.102")
        })
        .await;
        assert!(reaches(&node, 102, "10.9.0.1"));
        let other = json!({"bridges": "vmbr7"});
        node.call("ostler_isolation_update", other).await.unwrap();
        until("the policy is of another bridge", async || {
            reaches(&node, 101, "10.9.0.102")
        })
        .await;
        for vmid in [101, 102, 103] {
            let stop = json!({"node": "pve1", "vmid": vmid});
            assert_eq!(node.task("lxc_stop", stop).await, "OK");
        }
    });
}
