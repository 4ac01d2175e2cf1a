//! Decisions about guests and nodes. Pure functions: no clock, no host, no store.

mod admission;

pub use admission::{Demand, Policy, Room, Shortage};
