//! `/ostler`: what Proxmox VE does not have.

mod cpu;
mod doctor;

use super::{Op, Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("ostler_cpu", cpu::cpu),
    pair!("ostler_doctor", doctor::doctor),
];
