//! Parameters for every operation.

use proto::Row;
use serde_json::{Value, json};

/// Minimal parameters that pass the row's schema.
pub(crate) fn required(row: &Row) -> Value {
    let all = json!({
        "application": "{}", "authid": "x@pve", "clustername": "lab", "command": "reboot", "content": "iso", "disk": "scsi0",
        "feature": "snapshot", "file": "/x", "filename": "x.iso", "groupid": "g",
        "fingerprint": (["00"; 32].join(":")), "hostname": "127.0.0.1:9", "member": "n2",
        "id": "100-0", "idlist": "scsi1", "key": "ret", "newid": 101, "node": "pve1", "password": "12345678",
        "path": "/vms/100", "pid": 1, "poolid": "p", "port": 5900, "privs": "VM.Audit",
        "realm": "pve", "roleid": "r", "roles": "PVEAuditor", "size": "+1G", "snapname": "s1",
        "storage": "store", "timezone": "UTC", "tokenid": "t1", "username": "x@pve",
        "upid": "UPID:pve1:00000001:00000001:6B00D68B:qmstart:100:root@pam:",
        "url": "http://127.0.0.1:9/x.iso", "userid": "bob@pve", "vmid": 100, "vms": "100",
        "vncticket": "x", "volume": "store:iso/x.iso",
        "type": match row.name {
            "domain_create" => "pam",
            "storage_create" => "dir",
            "qemu_cloudinit_dump" => "user",
            _ => "recovery",
        },
    });
    let of_reads = json!({
        "cputype": "custom-my", "device": "/dev/sdb", "devices": "/dev/sdb", "ds": "cpu", "raidlevel": "single", "reported-model": "kvm64", "group": "g1", "format": "raw+size", "iface": "vmbr0", "map": "node=pve1,id=1234:5678", "name": "swtpm", "new": "/dev/sdc", "pci-id-or-mapping": "00:01.0",
        "ostemplate": "store:vztmpl/x.tar.gz", "portal": "127.0.0.1", "profile": "small", "reference": "127.0.0.1:9/x:1", "server": "127.0.0.1", "source": "/root/pve", "vg": "pve", "volume-group": "pve",
        "rule": "r1", "schedule": "daily", "service": "cron", "sid": "vm:100", "target": "pve2", "tier": "gold", "timeframe": "hour",
    });
    let sample = |name: &str| match &all[name] {
        Value::Null => of_reads[name].clone(),
        sample => sample.clone(),
    };
    let mut params = json!({});
    for field in row
        .params
        .iter()
        .flat_map(|group| group.iter())
        .filter(|f| !f.optional)
    {
        assert!(
            !sample(field.name).is_null(),
            "no sample for {} of {}",
            field.name,
            row.label()
        );
        params[field.name] = sample(field.name);
    }
    if row.name.starts_with("mapping_") && params["id"] != Value::Null {
        params["id"] = "gpu".into();
    }
    if row.name.starts_with("snapshot_job_") && params["id"] != Value::Null {
        params["id"] = "daily".into();
    }
    match row.name {
        "query_oci_repo_tags" => params["reference"] = "127.0.0.1:9/x".into(),
        "snapshot_job_create" => params["all"] = true.into(),
        "mapping_dir_create" | "mapping_dir_update" => params["map"] = "node=pve2,path=/srv".into(),
        "mapping_pci_create" | "mapping_pci_update" => {
            params["map"] = "node=pve1,id=1af4:1045,path=0000:00:01.0".into();
        }
        "realm_sync_get" => params["id"] = "rs1".into(),
        "agent_command" => params["command"] = "ping".into(),
        "qemu_monitor" => params["command"] = "info version".into(),
        "volume_create" => params["size"] = "1G".into(),
        "storage_create" => params["path"] = "/srv/store".into(),
        "disk_initgpt" | "disk_smart" | "disk_wipe" => params["disk"] = "/dev/sda".into(),
        "acl_update" => params["users"] = "bob@pve".into(),
        "lxc_move_volume" => params["volume"] = "rootfs".into(),
        "lxc_resize" => params["disk"] = "rootfs".into(),
        "lxc_configure" | "qemu_configure" | "qemu_configure_task" => params["cores"] = 2.into(),
        _ => {}
    }
    params
}
