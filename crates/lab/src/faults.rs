//! Faults of a node, applied from outside.

use std::process::ExitStatus;
use std::str::FromStr;
use std::sync::PoisonError;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::disk::DiskHealth;
use crate::machine::Beginning;
use crate::node::{Node, SOON};
use crate::{LabError, Moment};

impl Node {
    /// Power loss: QEMU is killed. Data on disks stays; the node's own root is new memory after the
    /// next start.
    pub fn kill(&self) -> Result<ExitStatus, LabError> {
        let machine = self.slot().take().ok_or_else(|| LabError::Gone {
            node: self.name().to_owned(),
            how: "is off already".to_owned(),
        })?;
        let doing = || LabError::io(format!("kill QEMU of {}", self.name()));
        let mut child = machine.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().map_err(doing())?;
        let status = child.wait().map_err(doing())?;
        machine.agent.close();
        Ok(status)
    }

    /// Restores power after `kill`: the node boots, which takes a while (`wait_for_boot`).
    pub fn start(&self) -> Result<(), LabError> {
        self.launch(Beginning::Cold)
    }

    /// The reset button: the node reboots, with its disks (`wait_for_boot`).
    pub fn reset(&self) -> Result<(), LabError> {
        let pressed = Moment::now();
        self.machine()?.qmp.call("system_reset", json!({}))?;
        self.wait_for_event_after(pressed, "RESET", SOON)?;
        Ok(())
    }

    /// A hung host: nothing in it runs, but its clocks do. After `thaw` it sees that time has
    /// passed.
    pub fn freeze(&self) -> Result<(), LabError> {
        self.signal(Signal::STOP)
    }

    /// Ends `freeze`.
    pub fn thaw(&self) -> Result<(), LabError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), LabError> {
        let machine = self.machine()?;
        // The child has not been waited for, so its pid is still its own.
        let child = machine.child.lock().unwrap_or_else(PoisonError::into_inner);
        kill_process(Pid::from_child(&child), signal).map_err(|errno| LabError::Io {
            doing: format!("send {signal:?} to QEMU of {}", self.name()),
            source: errno.into(),
        })
    }

    /// A host that stops without noticing: its clocks stop too, so after `wake` its leases look
    /// valid and its watchdog does not fire. The worst case of a split brain.
    pub fn zombie(&self) -> Result<(), LabError> {
        self.machine()?.qmp.call("stop", json!({})).map(|_| ())
    }

    /// Ends `zombie`.
    pub fn wake(&self) -> Result<(), LabError> {
        self.machine()?.qmp.call("cont", json!({})).map(|_| ())
    }

    /// The kernel panics, which resets the node at once.
    pub fn panic(&self) -> Result<(), LabError> {
        let before = Moment::now();
        // No answer comes: the kernel is gone before the shell ends.
        drop(self.spawn("echo c >/proc/sysrq-trigger")?);
        self.wait_for_event_after(before, "RESET", SOON)?;
        Ok(())
    }

    /// Sets the link of a card down, which the node notices, unlike a cut in the hub.
    pub fn unplug(&self, card: usize) -> Result<(), LabError> {
        self.set_link(card, false)
    }

    /// Ends `unplug`.
    pub fn plug(&self, card: usize) -> Result<(), LabError> {
        self.set_link(card, true)
    }

    fn set_link(&self, card: usize, up: bool) -> Result<(), LabError> {
        let name = format!("net{card}");
        let qmp = &self.machine()?.qmp;
        qmp.call("set_link", json!({"name": name, "up": up}))
            .map(|_| ())
    }

    /// Changes the behaviour of all disks towards this node.
    pub fn set_disks(&self, health: DiskHealth) {
        let disks = self.inner.disks.lock();
        for disk in disks.unwrap_or_else(PoisonError::into_inner).iter() {
            disk.set_health(self.number(), health);
        }
    }
}

/// The faults of `lab fault`, by their names on the command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    Kill,
    Start,
    Reset,
    Freeze,
    Thaw,
    Zombie,
    Wake,
    Panic,
    DiskError,
    DiskStall,
    DiskHeal,
    Unplug(usize),
    Plug(usize),
    Isolate,
    Cut(String),
    OneWay(String),
    Loss(String, f64),
    Delay(String, u64),
    Heal,
}

/// The kinds, for help texts.
pub const FAULT_KINDS: &str = "kill, start, reset, freeze, thaw, zombie, wake, panic, disk-error, \
     disk-stall, disk-heal, unplug:CARD, plug:CARD, isolate, cut:NODE, one-way:NODE, \
     loss:NODE:SHARE, delay:NODE:MILLISECONDS, heal";

impl FromStr for Fault {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Fault, LabError> {
        let unknown = || LabError::NoSuch(format!("fault '{text}' (there are: {FAULT_KINDS})"));
        let words: Vec<&str> = text.split(':').collect();
        let fault = match words[..] {
            ["kill"] => Fault::Kill,
            ["start"] => Fault::Start,
            ["reset"] => Fault::Reset,
            ["freeze"] => Fault::Freeze,
            ["thaw"] => Fault::Thaw,
            ["zombie"] => Fault::Zombie,
            ["wake"] => Fault::Wake,
            ["panic"] => Fault::Panic,
            ["disk-error"] => Fault::DiskError,
            ["disk-stall"] => Fault::DiskStall,
            ["disk-heal"] => Fault::DiskHeal,
            ["unplug", card] => Fault::Unplug(card.parse().map_err(|_| unknown())?),
            ["plug", card] => Fault::Plug(card.parse().map_err(|_| unknown())?),
            ["isolate"] => Fault::Isolate,
            ["cut", node] => Fault::Cut(node.to_owned()),
            ["one-way", node] => Fault::OneWay(node.to_owned()),
            ["loss", node, share] => {
                Fault::Loss(node.to_owned(), share.parse().map_err(|_| unknown())?)
            }
            ["delay", node, ms] => {
                Fault::Delay(node.to_owned(), ms.parse().map_err(|_| unknown())?)
            }
            ["heal"] => Fault::Heal,
            _ => return Err(unknown()),
        };
        Ok(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_as_the_command_line_says() {
        assert_eq!("kill".parse::<Fault>().unwrap(), Fault::Kill);
        assert_eq!("unplug:2".parse::<Fault>().unwrap(), Fault::Unplug(2));
        let loss: Fault = "loss:n2:0.5".parse().unwrap();
        assert_eq!(loss, Fault::Loss("n2".to_owned(), 0.5));
        let error = "melt".parse::<Fault>().unwrap_err().to_string();
        assert!(error.starts_with("there is no fault 'melt' (there are: kill, "));
    }
}
