//! `/nodes/{node}`

pub(super) mod all;
pub(super) mod apt;
pub(super) mod capabilities;
pub(super) mod certificates;
pub(super) mod config;
pub(super) mod disks;
pub(super) mod hardware;
pub(super) mod journal;
pub(super) mod list;
pub(super) mod names;
pub(super) mod network;
pub(super) mod replication;
pub(super) mod rrddata;
pub(super) mod scan;
pub(super) mod services;
pub(super) mod shell;
pub(super) mod status;
pub(super) mod storage;
pub(super) mod streams;
pub(super) mod tasks;
pub(super) mod web;
