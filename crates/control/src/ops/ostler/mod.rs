//! `/ostler`: what Proxmox VE does not have.

pub(super) mod admission;
pub(super) mod adopt;
mod alert_acknowledge;
mod alert_unacknowledge;
mod alerts;
mod cpu;
pub(super) mod deployment;
mod doctor;
pub(super) mod exports;
mod hardware;
pub(super) mod isolation;
mod last_hour;
pub(super) mod profiles;
mod rescan;
pub(super) mod snapshot_jobs;
pub(super) mod snapshots;
pub(super) mod tiers;
pub(super) mod zpools;

use super::{Op, Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!(
        "ostler_alert_acknowledge",
        alert_acknowledge::alert_acknowledge
    ),
    pair!(
        "ostler_alert_unacknowledge",
        alert_unacknowledge::alert_unacknowledge
    ),
    pair!("ostler_alerts", alerts::alerts),
    pair!("ostler_cpu", cpu::cpu),
    pair!("ostler_doctor", doctor::doctor),
    pair!("ostler_hardware", hardware::hardware),
    pair!("ostler_last_hour", last_hour::last_hour),
    pair!("ostler_rescan", rescan::rescan),
];
