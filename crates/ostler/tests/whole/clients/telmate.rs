//! The calls of Telmate's provider for Proxmox VE in their order, since the provider is not
//! available as a module: a clone that is changed, started, read and destroyed; a user and a token.

use serde_json::{Value, json};

use super::{ADMIN, node_with_admin, nothing_is_left};
use crate::harness::https::{Response, request};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out};

/// The provider with its token; forms are encoded as by its library.
struct Provider {
    node: TestNode,
    token: String,
}

impl Provider {
    async fn new() -> Self {
        let node = node_with_admin().await;
        let token = json!({"userid": ADMIN, "tokenid": "tf", "privsep": 0});
        let token = node.call("token_create", token).await.unwrap().data;
        let secret = token["value"].as_str().unwrap();
        let token = format!("PVEAPIToken={ADMIN}!tf={secret}");
        Self { node, token }
    }

    async fn ask(&self, method: &str, path: &str, form: &str) -> Response {
        let path = format!("/api2/json{path}");
        let headers = [("Authorization", self.token.clone())];
        let body = (!form.is_empty()).then_some(("application/x-www-form-urlencoded", form));
        request(self.node.port, method, &path, &headers, body).await
    }

    async fn data(&self, method: &str, path: &str, form: &str) -> Value {
        let answer = self.ask(method, path, form).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status(), 200, "{method} {path} {form}: {said}");
        answer.json()["data"].clone()
    }

    /// Submits a task and polls its state like the library.
    async fn done(&self, method: &str, path: &str, form: &str) {
        let upid = self.data(method, path, form).await;
        let upid = upid.as_str().unwrap();
        assert_eq!(self.node.ended(upid).await, "OK", "{method} {path} {form}");
        let encoded = upid
            .replace(':', "%3A")
            .replace('@', "%40")
            .replace('!', "%21");
        let path = format!("/nodes/pve1/tasks/{encoded}/status");
        assert_eq!(self.data("GET", &path, "").await["exitstatus"], "OK");
    }

    async fn refused(&self, method: &str, path: &str, form: &str) -> String {
        let answer = self.ask(method, path, form).await;
        assert!(answer.status() >= 400, "{method} {path} must be refused");
        answer.status_line
    }
}

/// The requests of every refresh of a machine.
async fn refresh(provider: &Provider, vmid: u32) {
    provider.data("GET", "/cluster/resources?type=vm", "").await;
    let guest = format!("/nodes/pve1/qemu/{vmid}");
    provider.data("GET", &format!("{guest}/config"), "").await;
    let status = provider
        .data("GET", &format!("{guest}/status/current"), "")
        .await;
    assert_eq!(status["ha"]["managed"], 0);
    provider.data("GET", "/pools", "").await;
    for sid in [format!("vm:{vmid}"), vmid.to_string()] {
        let path = format!("/cluster/ha/resources/{sid}");
        let refused = provider.refused("GET", &path, "").await;
        let wanted = format!("HTTP/1.1 500 no such resource 'vm:{vmid}'");
        assert_eq!(refused, wanted, "{path}");
    }
    let path = format!("{guest}/agent/network-get-interfaces");
    let refused = provider.refused("GET", &path, "").await;
    assert!(refused.starts_with("HTTP/1.1 500 "), "{refused}");
}

// covers: S1.27
#[test]
fn a_clone_is_made_read_and_destroyed() {
    if left_out("the calls of Telmate's provider") {
        return;
    }
    with_bridge(async {
        let provider = Provider::new().await;
        provider.data("GET", "/version", "").await;
        provider.data("GET", "/access/permissions", "").await;
        let template = json!({"name": "base", "memory": "64", "scsi0": "local:1,format=qcow2"});
        let node = &provider.node;
        assert_eq!(node.task("qemu_create", about(100, template)).await, "OK");
        assert_eq!(
            node.task("qemu_template", about(100, json!({}))).await,
            "OK"
        );

        provider.data("GET", "/cluster/resources?type=vm", "").await;
        let newid = provider.data("GET", "/cluster/nextid", "").await;
        assert_eq!(newid, "101");
        let clone = "newid=101&name=web&full=1&target=pve1&storage=local";
        provider
            .done("POST", "/nodes/pve1/qemu/100/clone", clone)
            .await;
        provider
            .data("GET", "/nodes/pve1/qemu/101/config", "")
            .await;
        let change = "agent=0&bios=seabios&boot=order%3Dscsi0&cores=1&cpu=host&description=made&\
                      hotplug=network%2Cdisk%2Cusb&kvm=1&memory=64&name=web&numa=0&onboot=0&\
                      scsihw=virtio-scsi-pci&sockets=1&tablet=1&tags=a%3Bb&template=0&\
                      net0=virtio%2Cbridge%3Dvmbr0&sshkeys=&ciuser=&searchdomain=";
        provider
            .done("POST", "/nodes/pve1/qemu/101/config", change)
            .await;
        provider
            .done("PUT", "/nodes/pve1/qemu/101/resize", "disk=scsi0&size=2G")
            .await;
        provider
            .done("POST", "/nodes/pve1/qemu/101/status/start", "")
            .await;
        refresh(&provider, 101).await;

        let stop = "overrule-shutdown=1&timeout=30&keepActive=0";
        provider
            .done("POST", "/nodes/pve1/qemu/101/status/stop", stop)
            .await;
        for vmid in [101, 100] {
            let path = format!("/nodes/pve1/qemu/{vmid}?purge=1&destroy-unreferenced-disks=1");
            provider.done("DELETE", &path, "").await;
        }
        let gone = provider
            .refused("GET", "/nodes/pve1/qemu/101/config", "")
            .await;
        assert!(gone.ends_with("does not exist"), "{gone}");
        nothing_is_left(node);
    });
}

// covers: S1.27
#[test]
fn a_user_that_is_not_there_is_told_from_other_errors() {
    if left_out("users by the calls of Telmate's provider") {
        return;
    }
    with_bridge(async {
        let provider = Provider::new().await;
        let jane = "/access/users/jane%40pve";
        let missing = provider.refused("GET", jane, "").await;
        assert!(missing.contains(" no such user ('jane@pve')"), "{missing}");
        let user = "userid=jane%40pve&comment=&email=&enable=1&expire=0&firstname=&groups=&keys=&lastname=";
        provider.data("POST", "/access/users", user).await;
        provider.data("GET", "/access/users?full=1", "").await;
        let token = format!("{jane}/token/t1");
        let missing = provider.refused("GET", &token, "").await;
        assert!(missing.contains(" no such token "), "{missing}");
        provider
            .data("POST", &token, "comment=of+the+test&expire=0&privsep=1")
            .await;
        provider.data("GET", &token, "").await;
        provider.data("DELETE", &token, "").await;
        provider.data("DELETE", jane, "").await;
        let missing = provider.refused("PUT", jane, "comment=late").await;
        assert!(missing.contains(" no such user ('jane@pve')"), "{missing}");
    });
}
