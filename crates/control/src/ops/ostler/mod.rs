//! `/ostler`: what Proxmox VE does not have.

mod alerts;
mod cpu;
mod doctor;
mod hardware;

use super::{Op, Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("ostler_alerts", alerts::alerts),
    pair!("ostler_cpu", cpu::cpu),
    pair!("ostler_doctor", doctor::doctor),
    pair!("ostler_hardware", hardware::hardware),
];
