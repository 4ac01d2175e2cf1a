//! A share of an SMB server.

use sys::{Command, Mount};

use super::{Remote, bracketed, option};
use crate::CifsSpec;

const PORT: u16 = 445;

pub(super) struct Cifs {
    pub(super) spec: CifsSpec,
    pub(super) password: Option<String>,
}

impl Cifs {
    fn options(&self) -> String {
        let spec = &self.spec;
        // Locks of SMB keep writes through other descriptors out, and the kernel writes back through
        // any of them: QEMU's locks stay on this node. Who writes is decided by the guest's owner.
        let mut options = vec!["soft".to_owned(), "nobrl".to_owned()];
        let has_ticket =
            option(spec.options.as_deref(), "sec").is_some_and(|sec| sec.starts_with("krb5"));
        match (&spec.username, &self.password) {
            _ if has_ticket => {}
            (user, Some(_)) => {
                let user = user.as_deref().unwrap_or("guest");
                options.push(format!("username={user}"));
            }
            (_, None) => options.push("guest,username=guest".to_owned()),
        }
        options.extend(spec.domain.iter().map(|domain| format!("domain={domain}")));
        let version = spec.smbversion.as_deref().unwrap_or("default");
        options.push(format!("vers={version}"));
        options.extend(spec.options.clone());
        options.join(",")
    }
}

impl Remote for Cifs {
    fn source(&self) -> String {
        let CifsSpec {
            server,
            share,
            subdir,
            ..
        } = &self.spec;
        let subdir = subdir
            .as_deref()
            .map(|folder| format!("/{}", folder.trim_matches('/')));
        format!(
            "//{}/{share}{}",
            bracketed(server),
            subdir.unwrap_or_default()
        )
    }

    fn is(&self, mounted: &Mount) -> bool {
        let same = mounted.source.trim_end_matches('/') == self.source();
        matches!(mounted.kind.as_str(), "cifs" | "smb3") && same
    }

    fn servers(&self) -> Vec<(String, Vec<u16>)> {
        let configured = option(self.spec.options.as_deref(), "port");
        let port = configured
            .and_then(|port| port.parse().ok())
            .unwrap_or(PORT);
        vec![(self.spec.server.clone(), vec![port])]
    }

    /// The password goes by standard input, so that no other program sees it.
    fn mounting(&self, point: &str) -> Vec<Command> {
        let options = self.options();
        let mut command = Command::new("mount.cifs").args([&self.source(), point, "-o", &options]);
        if let Some(password) = &self.password {
            command.env.push(("PASSWD_FD".to_owned(), "0".to_owned()));
            command.input = password.clone().into_bytes();
        }
        vec![command]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_argument() {
        let cifs = Cifs {
            spec: CifsSpec {
                server: "nas".to_owned(),
                share: "vms".to_owned(),
                subdir: Some("/a/b".to_owned()),
                username: Some("ostler".to_owned()),
                domain: Some("OFFICE".to_owned()),
                smbversion: Some("3.0".to_owned()),
                ..CifsSpec::default()
            },
            password: Some("secret".to_owned()),
        };
        let command = &cifs.mounting("/mnt/pve/nas")[0];
        assert_eq!(
            command.args.join(" "),
            "//nas/vms/a/b /mnt/pve/nas -o soft,nobrl,username=ostler,domain=OFFICE,vers=3.0"
        );
        assert_eq!(command.input, b"secret");
    }

    #[test]
    fn without_a_password_it_is_a_guest() {
        let cifs = Cifs {
            spec: CifsSpec {
                server: "nas".to_owned(),
                share: "open".to_owned(),
                ..CifsSpec::default()
            },
            password: None,
        };
        assert_eq!(
            cifs.options(),
            "soft,nobrl,guest,username=guest,vers=default"
        );
        assert!(cifs.mounting("/m")[0].env.is_empty());
    }
}
