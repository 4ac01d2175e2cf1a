//! The text files of Proxmox VE: guests' configurations, sections of storages, members of pools. Pure.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Options in the order of their names; a later line of a name replaces an earlier one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Options {
    pub(super) values: BTreeMap<String, String>,
    /// The lines that begin with `#`.
    pub(super) description: Option<String>,
    /// Lines for LXC itself: `lxc.mount.entry`.
    pub(super) raw: Vec<(String, String)>,
}

/// The file of a guest.
#[derive(Debug, Default, PartialEq)]
pub(super) struct GuestFile {
    pub(super) now: Options,
    /// What waits for the next start; `delete` has the options that go.
    pub(super) pending: Options,
    pub(super) snapshots: BTreeMap<String, Options>,
    /// Lines that mean nothing.
    pub(super) unreadable: Vec<String>,
}

enum At {
    Now,
    Pending,
    Snapshot(String),
    /// What the cloud-init medium was made of: it is made anew.
    Special,
}

impl GuestFile {
    pub(super) fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let mut at = At::Now;
        for line in text.lines() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            if let Some(header) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                at = match header {
                    _ if header.eq_ignore_ascii_case("pending") => At::Pending,
                    _ if header.starts_with("special:") => At::Special,
                    _ => At::Snapshot(header.to_owned()),
                };
                if let At::Snapshot(name) = &at {
                    file.snapshots.entry(name.clone()).or_default();
                }
                continue;
            }
            let options = match &at {
                At::Now => &mut file.now,
                At::Pending => &mut file.pending,
                At::Snapshot(name) => file.snapshots.entry(name.clone()).or_default(),
                At::Special => continue,
            };
            if !options.read(line) {
                file.unreadable.push(line.to_owned());
            }
        }
        file
    }

    /// The configuration, what waits, and the snapshots.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Options> {
        [&mut self.now, &mut self.pending]
            .into_iter()
            .chain(self.snapshots.values_mut())
    }
}

impl Options {
    /// Reads one line; false where it means nothing.
    fn read(&mut self, line: &str) -> bool {
        if let Some(comment) = line.strip_prefix('#') {
            let text = self.description.get_or_insert_default();
            text.push_str(&decoded(comment));
            text.push('\n');
            return true;
        }
        if line.starts_with("lxc.") {
            let end = line.find([':', '=']);
            let Some((name, value)) = end.map(|end| (&line[..end], &line[end + 1..])) else {
                return false;
            };
            self.raw
                .push((name.trim().to_owned(), value.trim().to_owned()));
            return true;
        }
        let Some((name, value)) = line.split_once(':') else {
            return false;
        };
        let value = value.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(is_name) || value.is_empty() {
            return false;
        }
        if name == "description" {
            self.description = Some(decoded(value));
        } else {
            self.values.insert(name.to_owned(), value.to_owned());
        }
        true
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }
}

/// `%0A` and the like.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A section of `storage.cfg`.
#[derive(Debug, PartialEq)]
pub(super) struct Section {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) values: BTreeMap<String, String>,
}

/// `type: id`, then indented lines of `name value`; a name alone is a flag.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let line = line.trim_start();
            let (name, value) = line.split_once([' ', '\t']).unwrap_or((line, "1"));
            if let Some(section) = sections.last_mut() {
                let value = value.trim().to_owned();
                section.values.insert(name.to_owned(), value);
            }
        } else if let Some((kind, id)) = line.split_once(':') {
            sections.push(Section {
                kind: kind.trim().to_owned(),
                id: id.trim().to_owned(),
                values: BTreeMap::new(),
            });
        }
    }
    sections
}

/// The pools of `user.cfg`, with their comments and guests: `pool:dev:comment:100,101:storage:`.
#[derive(Debug, PartialEq)]
pub(super) struct PoolLine {
    pub(super) id: String,
    pub(super) comment: String,
    pub(super) guests: Vec<String>,
}

pub(super) fn pools(text: &str) -> Vec<PoolLine> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("pool:"));
    let pools = lines.map(|line| {
        let mut fields = line.split(':');
        let mut field = || fields.next().unwrap_or_default().trim().to_owned();
        let (id, comment, guests) = (field(), field(), field());
        PoolLine {
            id,
            comment: decoded(&comment),
            guests: guests
                .split([',', ' ', ';'])
                .filter(|guest| !guest.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    });
    pools.filter(|pool| !pool.id.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_options_what_waits_and_snapshots() {
        let file = GuestFile::parse(
            "#line one\n#a%3Ab\n\nboot: order=scsi0;net0\nname: web\r\nmemory: 1024\nmemory: 2048\n\
             parent: s1\nnot an option\n\n[PENDING]\ncores: 4\ndelete: balloon,net1\n\n[s1]\n#before\n\
             memory: 512\nsnaptime: 17\n\n[special:cloudinit]\nname: old\n",
        );
        assert_eq!(file.now.description.as_deref(), Some("line one\na:b\n"));
        assert_eq!(file.now.values["memory"], "2048");
        assert_eq!(file.now.values["boot"], "order=scsi0;net0");
        assert_eq!(file.now.values["name"], "web");
        assert_eq!(file.pending.values["delete"], "balloon,net1");
        let snapshot = &file.snapshots["s1"];
        assert_eq!(snapshot.description.as_deref(), Some("before\n"));
        assert_eq!(snapshot.values["snaptime"], "17");
        assert_eq!(file.unreadable, ["not an option"]);
        assert_eq!(file.snapshots.len(), 1);
    }

    #[test]
    fn lines_for_lxc_are_kept_apart() {
        let file = GuestFile::parse(
            "arch: amd64\nlxc.cgroup2.devices.allow: c 10:200 rwm\n\
             lxc.mount.entry = /dev/net/tun dev/net/tun none bind,create=file\n",
        );
        let raw: Vec<&str> = file.now.raw.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(raw, ["lxc.cgroup2.devices.allow", "lxc.mount.entry"]);
        assert_eq!(file.now.raw[0].1, "c 10:200 rwm");
        assert_eq!(file.now.values.len(), 1);
    }

    #[test]
    fn a_storage_is_a_section() {
        let text = "# ours\ndir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl\n\n\
                    zfspool: local-zfs\n  pool rpool/data\n  sparse\n  content images,rootdir\n";
        let sections = sections(text);
        let ids: Vec<&str> = sections.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["local", "local-zfs"]);
        assert_eq!(sections[1].kind, "zfspool");
        assert_eq!(sections[1].values["sparse"], "1");
        assert_eq!(sections[0].values["content"], "iso,vztmpl");
    }

    #[test]
    fn a_pool_names_its_guests() {
        let text = "user:root@pam:1:0::::::\npool:dev:for%3A tests:100,101:local:\npool:none:::\n";
        let pools = pools(text);
        assert_eq!(pools[0].comment, "for: tests");
        assert_eq!(pools[0].guests, ["100", "101"]);
        assert!(pools[1].guests.is_empty() && pools[1].id == "none");
    }
}
