//! The user data: host name, user, password, keys.

use super::Source;
use super::yaml::scalar;

pub(super) fn user_data(source: &Source<'_>) -> String {
    let cloud_init = &source.config.cloud_init;
    let (host, full) = source.names();
    let mut text = format!(
        "#cloud-config\nhostname: {}\nmanage_etc_hosts: true\n",
        scalar(&host)
    );
    let mut line = |text_of_line: String| {
        text.push_str(&text_of_line);
        text.push('\n');
    };
    if let Some(full) = full {
        line(format!("fqdn: {}", scalar(&full)));
    }
    let user = cloud_init.user.as_deref();
    if let Some(user) = user {
        line(format!("user: {}", scalar(user)));
    }
    let is_root = user == Some("root");
    if is_root {
        line("disable_root: False".to_owned());
    }
    // For Windows the password is in the meta data, since its agent does not support hashes.
    if let Some(password) = cloud_init
        .password
        .as_deref()
        .filter(|_| !source.config.is_windows())
    {
        line(format!("password: {}", scalar(password)));
    }
    if !cloud_init.keys.is_empty() {
        line("ssh_authorized_keys:".to_owned());
        for key in &cloud_init.keys {
            line(format!("  - {}", scalar(key)));
        }
    }
    line("chpasswd:\n  expire: False".to_owned());
    if !is_root {
        line("users:\n  - default".to_owned());
    }
    if cloud_init.upgrade != Some(false) {
        line("package_upgrade: true".to_owned());
    }
    text
}
