//! The traces of a lab that are kept when a test fails.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::disk::Disk;
use crate::hub::{Hub, Seen};
use crate::node::Node;
use crate::{LabError, Moment};

/// So that a frozen node does not delay the others for long.
const JOURNAL: Duration = Duration::from_secs(15);

/// How many of each disk's writes and of the hub's frames are written; the newest.
const NEWEST: usize = 2000;

pub(crate) fn write(
    folder: &Path,
    begun: Moment,
    nodes: &[Node],
    hub: &Hub,
    disks: &[Disk],
) -> Result<(), LabError> {
    for node in nodes {
        let places = &node.inner.places;
        for (from, name) in [
            (places.console_log(), "console"),
            (places.qemu_log(), "qemu"),
        ] {
            // A missing file is not an error.
            let _ = fs::copy(from, folder.join(format!("{}.{name}.log", node.name())));
        }
        let events = format!("{}.events.log", node.name());
        save(folder, &events, &events_of(node, begun))?;
    }
    save(
        folder,
        "hub.log",
        &(hub.report() + &frames(&hub.trace(), begun)),
    )?;
    save(folder, "disks.log", &writes(disks, begun))?;
    thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(|| save_journal(folder, node)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}

fn save(folder: &Path, name: &str, text: &str) -> Result<(), LabError> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(LabError::file("write", &path))
}

/// The journal, or why there is none.
fn save_journal(folder: &Path, node: &Node) -> Result<(), LabError> {
    let script = "journalctl --merge --no-pager -o short-precise | tail -n 5000; \
                  echo; echo '== processes'; ps axfww; echo '== links'; ip -br address";
    let text = match node.run_within(JOURNAL, script) {
        Ok(output) => output.text(),
        Err(error) => format!("no journal: {error}"),
    };
    save(folder, &format!("{}.journal.log", node.name()), &text)
}

fn events_of(node: &Node, begun: Moment) -> String {
    let mut text = String::new();
    for event in node.events() {
        let at = event.at.since(begun).as_secs_f64();
        let _ = writeln!(text, "{at:10.3} {} {}", event.name, event.data);
    }
    text
}

fn frames(trace: &[Seen], begun: Moment) -> String {
    let mut text = "\nthe newest frames: seconds, from, to, type, bytes, fate\n".to_owned();
    for seen in trace.iter().skip(trace.len().saturating_sub(NEWEST)) {
        let at = seen.at.since(begun).as_secs_f64();
        let Seen {
            from,
            to,
            ethertype,
            bytes,
            fate,
            ..
        } = seen;
        let _ = writeln!(
            text,
            "{at:10.3} n{from} n{to} {ethertype:04x} {bytes} {fate:?}"
        );
    }
    text
}

fn writes(disks: &[Disk], begun: Moment) -> String {
    let mut text = "the newest writes: seconds, disk, node, offset, bytes\n".to_owned();
    for disk in disks {
        let writes = disk.writes();
        for write in writes.iter().skip(writes.len().saturating_sub(NEWEST)) {
            let at = write.at.since(begun).as_secs_f64();
            let (name, node) = (disk.name(), write.node);
            let _ = writeln!(
                text,
                "{at:10.3} {name} n{node} {} {}",
                write.offset, write.bytes
            );
        }
    }
    text
}
