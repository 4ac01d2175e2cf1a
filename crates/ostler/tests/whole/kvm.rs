//! The probe guest on the real host: with emulation it passes all stages, and with KVM it reports
//! what a real operating system would find.

use std::path::Path;
use std::sync::Arc;

use crate::harness::left_out;
use crate::harness::namespace::with_bridge;
use guest::qemu::Accel;
use node::qemu::kvm::{Verdict, run_probe};
use sys::{RealHost, SharedHost};

#[test]
fn the_probe_guest_tells_the_truth() {
    if left_out("KVM probe") {
        return;
    }
    with_bridge(async {
        let root = format!("ostler-test-{}", std::process::id());
        let host: SharedHost = Arc::new(RealHost::open(&root).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let probe = folder.path().join("probe");
        let emulated = run_probe(&host, &probe, Accel::Tcg, None).await.unwrap();
        assert_eq!(emulated, Verdict::Usable);
        // As root, so that the permissions of the device cannot be the reason.
        let accelerated = run_probe(&host, &probe, Accel::Kvm, None).await.unwrap();
        println!("KVM on this machine: {accelerated:?}");
        let module = |name: &str| Path::new("/sys/module").join(name).exists();
        if module("kvm_intel") || module("kvm_amd") {
            assert_eq!(accelerated, Verdict::Usable);
        } else {
            // The provider of /dev/kvm here is not hardware.
            assert!(
                matches!(accelerated, Verdict::Unusable(_)),
                "{accelerated:?}"
            );
        }
        assert!(!probe.exists());
        assert!(host.scopes().await.unwrap().is_empty());
        for controller in ["cpu", "cpuacct", "cpuset", "memory", "pids", "freezer"] {
            let _ = std::fs::remove_dir(format!("/sys/fs/cgroup/{controller}/{root}"));
        }
    });
}
