//! The users that guests run as. Each guest has a uid of its own: one that broke out of QEMU cannot
//! trace or kill another guest's process, nor open its files.
//!
//! ```text
//!   guest-uids = "1879048192-2147352575"       uid = first + VMID, gid the same number
//!                 └ first      └ last
//! ```
//!
//! Guests whose ids are a whole range apart would have the same uid: they do not run together. The
//! run file says what a guest was started as, which holds for as long as it runs.

use std::str::FromStr;

use model::{Error, VmId};

use crate::NodeContext;

/// uids, and gids of the same numbers, that are guests'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestUids {
    first: u32,
    last: u32,
}

/// Between what systemd gives to containers and what it keeps for images of others
/// (systemd.io/UIDS-GIDS); `/etc/login.defs` ends with subordinate ids below.
pub const DEFAULT_GUEST_UIDS: GuestUids = GuestUids {
    first: 1_879_048_192,
    last: 2_147_352_575,
};

/// Fewer would have guests of usual ids share them.
const SIZE_MIN: u32 = 10_000;
/// Below are people and the system; `nobody` may be 65534.
const FIRST_MIN: u32 = 65_536;
/// -1 means "no user".
const LAST_MAX: u32 = u32::MAX - 1;

impl FromStr for GuestUids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('-');
        let parsed = numbers.and_then(|(first, last)| {
            let number = |text: &str| text.trim().parse::<u32>().ok();
            Some((number(first)?, number(last)?))
        });
        let (first, last) = parsed.ok_or("two numbers with '-' between them are wanted")?;
        if first < FIRST_MIN || last > LAST_MAX {
            return Err(format!("uids of guests are {FIRST_MIN} to {LAST_MAX}"));
        }
        if last < first || last - first < SIZE_MIN - 1 {
            return Err(format!("{SIZE_MIN} uids are needed at least"));
        }
        Ok(Self { first, last })
    }
}

impl GuestUids {
    fn size(self) -> u32 {
        self.last - self.first + 1
    }

    /// The uid and gid of a guest.
    pub fn of(self, vmid: VmId) -> (u32, u32) {
        let id = self.first + vmid.get() % self.size();
        (id, id)
    }

    /// The first line of `/etc/subuid` or `/etc/subgid` that gives some of them away.
    pub fn given_away<'a>(&self, subordinate: &'a str) -> Option<&'a str> {
        subordinate.lines().find(|line| {
            let mut fields = line.split(':').skip(1);
            let mut number = || fields.next()?.trim().parse::<u64>().ok();
            let (Some(first), Some(count)) = (number(), number()) else {
                return false;
            };
            first <= u64::from(self.last) && first.saturating_add(count) > u64::from(self.first)
        })
    }
}

impl NodeContext {
    /// Whom a guest that is started now runs as; none: as ourselves.
    pub(crate) fn user_of_new(&self, vmid: VmId) -> Option<(u32, u32)> {
        match self.guest_uids {
            Some(uids) => Some(uids.of(vmid)),
            None => self.guest_user,
        }
    }

    /// Whom a running guest runs as.
    pub(crate) async fn user_of(&self, vmid: VmId) -> Result<Option<(u32, u32)>, Error> {
        let file = self.running.run_file(vmid).await?;
        Ok(file.and_then(|file| file.user).or(self.guest_user))
    }

    /// Refuses to have a guest run beside another one of the same user. The guest has its scope
    /// already, so of two that start at once one sees the other.
    pub(crate) async fn check_own_user(&self, vmid: VmId) -> Result<(), Error> {
        let Some(uids) = self.guest_uids else {
            return Ok(());
        };
        let user = uids.of(vmid);
        for other in self.host.scopes().await? {
            let other = other.vmid().filter(|other| *other != vmid);
            let Some(other) = other.filter(|other| uids.of(*other) == user) else {
                continue;
            };
            // Containers have ids of their own.
            if self.running.container_file(other).await?.is_some() {
                continue;
            }
            let is_it = match self.running.run_file(other).await? {
                Some(file) => file.user == Some(user) && self.running.is_running(other).await?,
                // It is about to start.
                None => true,
            };
            if is_it {
                return Err(Error::conflict(format!(
                    "VM {other} runs as the same user as VM {vmid} would: 'guest-uids' in \
                     /etc/ostler/ostler.toml has too few"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(text: &str) -> Result<GuestUids, String> {
        text.parse()
    }

    fn vmid(text: &str) -> VmId {
        text.parse().unwrap()
    }

    #[test]
    fn a_guest_has_a_uid_of_its_own() {
        let default = DEFAULT_GUEST_UIDS;
        assert_eq!(default.of(vmid("100")), (1_879_048_292, 1_879_048_292));
        let far = default.of(vmid("999999999")).0;
        assert!(far >= default.first && far <= default.last);
        let few = uids("100000-109999").unwrap();
        assert_eq!(few.of(vmid("10100")), few.of(vmid("100")));
        assert_ne!(few.of(vmid("10101")), few.of(vmid("100")));
    }

    #[test]
    fn a_range_that_cannot_be_is_refused() {
        for (text, why) in [
            ("100000", "two numbers"),
            ("100000-x", "two numbers"),
            ("0-100000", "are 65536 to"),
            ("100000-4294967295", "are 65536 to"),
            ("200000-100000", "are needed"),
            ("100000-100100", "are needed"),
        ] {
            let error = uids(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_given_away_is_found() {
        let range = uids("200000-299999").unwrap();
        for line in ["x:299999:1", "x:100000:100001", "x:1:4000000000"] {
            assert_eq!(range.given_away(line), Some(line));
        }
        for line in ["x:100000:100000", "x:300000:65536", "", "x:y:z"] {
            assert_eq!(range.given_away(line), None);
        }
        let debian = "root:100000:65536\nsomebody:165536:65536\n";
        assert_eq!(DEFAULT_GUEST_UIDS.given_away(debian), None);
    }
}
