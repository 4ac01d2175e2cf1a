//! Whole nodes: two processes, real guests, real clients. One program, since every test links all
//! crates; a test is named `<file>::<name>`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test may fail where it stands, and runs programs"
)]

mod harness;

mod admission;
mod adopt;
mod alerts;
mod broken_off;
mod broken_off_volumes;
mod browser;
mod browser_pictures;
mod changes;
mod cli;
mod cli_tables;
mod clients;
mod cloudinit;
mod cluster_broken_off;
mod cluster_certificates;
mod cluster_create;
mod cluster_dissolve;
mod cluster_join;
mod cluster_migrate;
mod cluster_restore;
mod cluster_witness;
mod doctor;
mod floods;
mod front;
mod guest_devices;
mod history;
mod host_devices;
mod host_files;
mod hotplug;
mod iscsidirect;
mod isolation;
mod kvm;
mod lab_lvm_base;
mod lists;
mod lxc_image;
mod lxc_life;
mod lxc_migrate;
mod lxc_upkeep;
mod lxc_volumes;
mod many_browsers;
mod many_guests;
mod migrate_broken_off;
mod minority;
mod moves;
mod node_facts;
mod node_host;
mod node_journal;
mod node_shell;
mod onboot;
mod pam;
mod profiles;
mod qemu_agent;
mod qemu_clone;
mod qemu_console;
mod qemu_console_terminal;
mod qemu_create;
mod qemu_import;
mod qemu_layers;
mod qemu_migrate;
mod qemu_monitor;
mod qemu_options;
mod qemu_snapshots;
mod qemu_start;
mod rbd;
mod recorded;
mod roles;
mod seed_commands;
mod snapshot_jobs;
mod status;
mod storage;
mod sweep;
mod table;
mod volume_streams;
mod wire;
