//! The unique id of a task, as Proxmox VE writes it.
//!
//! `UPID:node:pid:pstart:starttime:type:id:user:` with nine fields, the last one empty; pid,
//! pstart and starttime are upper-case hexadecimal of at least eight digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{NodeName, UnixTime};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse worker upid")]
pub struct UpidError;

/// A task's identity. `user` is `name@realm` or `name@realm!token`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upid {
    pub node: NodeName,
    /// Distinguishes tasks that began in the same second. It is not a process id; PVE's clients
    /// only compare it.
    pub pid: u32,
    pub pstart: u64,
    pub starttime: UnixTime,
    /// The task's type, e.g. `qmstart`.
    pub kind: String,
    /// What it works on, e.g. `100`; may be empty.
    pub id: String,
    pub user: String,
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UPID:{}:{:08X}:{:08X}:{:08X}:{}:{}:{}:",
            self.node, self.pid, self.pstart, self.starttime, self.kind, self.id, self.user
        )
    }
}

fn hex(field: &str, digits: std::ops::RangeInclusive<usize>) -> Result<u64, UpidError> {
    let well_formed = digits.contains(&field.len())
        && field
            .chars()
            .all(|c| c.is_ascii_digit() || ('A'..='F').contains(&c));
    if !well_formed {
        return Err(UpidError);
    }
    u64::from_str_radix(field, 16).map_err(|_| UpidError)
}

impl FromStr for Upid {
    type Err = UpidError;

    fn from_str(value: &str) -> Result<Self, UpidError> {
        let fields: Vec<&str> = value.split(':').collect();
        let ["UPID", node, pid, pstart, starttime, kind, id, user, ""] = fields[..] else {
            return Err(UpidError);
        };
        let plain = |text: &str| text.chars().all(|c| !c.is_whitespace() && c != '/');
        if kind.is_empty() || user.is_empty() || !plain(kind) || !plain(id) || !plain(user) {
            return Err(UpidError);
        }
        Ok(Self {
            node: NodeName::new(node).map_err(|_| UpidError)?,
            pid: u32::try_from(hex(pid, 8..=8)?).map_err(|_| UpidError)?,
            pstart: hex(pstart, 8..=9)?,
            starttime: i64::try_from(hex(starttime, 8..=8)?).map_err(|_| UpidError)?,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
        })
    }
}

impl TryFrom<String> for Upid {
    type Error = UpidError;
    fn try_from(value: String) -> Result<Self, UpidError> {
        value.parse()
    }
}

impl From<Upid> for String {
    fn from(upid: Upid) -> String {
        upid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_upid_reads_back_to_the_letter() {
        let text = "UPID:pve1:0000039C:0005556C:6B00D68B:qmcreate:100:root@pam:";
        let upid: Upid = text.parse().unwrap();
        assert_eq!((upid.pid, upid.starttime), (924, 1_795_217_035));
        assert_eq!(upid.to_string(), text);
        let long = "UPID:pve1:0000039C:12345678A:6B00D68B:qmstart::root@pam!t1:";
        assert_eq!(long.parse::<Upid>().unwrap().to_string(), long);
    }

    #[test]
    fn anything_else_is_no_upid() {
        for bad in [
            "UPID:bad",
            "",
            "UPID:pve1:39C:0005556C:6B00D68B:qmcreate:100:root@pam:",
            "UPID:pve1:0000039c:0005556C:6B00D68B:qmcreate:100:root@pam:",
            "UPID:pve1:0000039C:0005556C:6B00D68B:qm/../x:100:root@pam:",
            "UPID:pve1:0000039C:0005556C:6B00D68B:qmcreate:100:root@pam",
        ] {
            assert_eq!(bad.parse::<Upid>(), Err(UpidError), "{bad}");
        }
    }
}
