//! Golden media, and changes of the instance id.

use super::*;
use model::GuestConfig;

const KEY: &str = "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIH2rPr0jBlFDcSUnfhNNSNz9bFzWhWWbFOgFAm6N81pU%20me%40here%0A";

fn config(options: &[(&str, &str)]) -> VmConfig {
    let mut config = GuestConfig::default();
    for (option, value) in options {
        config.set(*option, *value);
    }
    VmConfig::parse(&config).unwrap()
}

fn told(more: &[(&str, &str)]) -> VmConfig {
    let mut options = vec![
        ("name", "web"),
        ("ciuser", "lab"),
        ("cipassword", "$5$salt$hash"),
        ("sshkeys", KEY),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
        ("net1", "virtio=BC:24:11:00:00:02,bridge=vmbr1"),
        ("net2", "virtio=BC:24:11:00:00:03,bridge=vmbr2"),
        (
            "ipconfig0",
            "ip=10.0.0.2/24,gw=10.0.0.1,ip6=fd00::2/64,gw6=fd00::1",
        ),
        ("ipconfig1", "ip=dhcp,ip6=auto"),
        ("searchdomain", "lab.example"),
        ("nameserver", "10.0.0.53 fd00::53"),
    ];
    options.extend(more);
    config(&options)
}

fn seed_with(config: &VmConfig, custom: Custom) -> Seed {
    let dns = Dns {
        servers: vec!["192.0.2.53".to_owned()],
        search: vec!["node.example".to_owned()],
    };
    let source = Source {
        vmid: VmId::new(100).unwrap(),
        config,
        dns: &dns,
        custom,
    };
    source.render().unwrap()
}

fn seed(config: &VmConfig) -> Seed {
    seed_with(config, Custom::default())
}

/// The medium as one text, each file under its name.
fn shown(seed: &Seed) -> String {
    let mut text = format!("label {}\n", seed.label());
    for file in seed.files() {
        text.push_str(&format!("--- {}\n{}", file.path, file.content));
    }
    text
}

#[test]
fn no_cloud() {
    insta::assert_snapshot!(shown(&seed(&told(&[]))));
}

#[test]
fn config_drive() {
    insta::assert_snapshot!(shown(&seed(&told(&[("citype", "configdrive2")]))));
}

/// An empty configuration: the node's resolver, a generated name, addresses by DHCP.
#[test]
fn silence() {
    let config = config(&[
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
        ("ipconfig0", ""),
        ("ciupgrade", "0"),
    ]);
    insta::assert_snapshot!(shown(&seed(&config)));
}

#[test]
fn windows() {
    let config = told(&[("ostype", "win11"), ("cipassword", "plain \"text\"")]);
    insta::assert_snapshot!(shown(&seed(&config)));
}

#[test]
fn root_and_a_full_name() {
    let config = config(&[("name", "db.prod.example"), ("ciuser", "root")]);
    let user = seed(&config).user;
    assert!(user.contains("hostname: db\n") && user.contains("fqdn: db.prod.example\n"));
    assert!(user.contains("disable_root: False\n") && !user.contains("users:"));
}

#[test]
fn own_files_take_the_place_of_made_ones_and_others_stay() {
    let custom = Custom {
        user: Some("#cloud-config\nruncmd: []\n".to_owned()),
        vendor: Some("#cloud-config\n{}\n".to_owned()),
        ..Custom::default()
    };
    let own = seed_with(&told(&[]), custom.clone());
    let made = seed(&told(&[]));
    assert_eq!(own.user, "#cloud-config\nruncmd: []\n");
    assert_eq!(own.network, made.network);
    assert_ne!(own.meta, made.meta);
    assert_eq!(own.files()[3].content, "#cloud-config\n{}\n");
    let drive = told(&[("citype", "configdrive2")]);
    let files = seed_with(&drive, custom).files();
    assert_eq!(files[3].path, "openstack/latest/vendor_data.json");
    let wrapped = json!({"cloud-init": "#cloud-config\n{}\n"}).to_string();
    assert_eq!(files[3].content, wrapped);
    assert_eq!(vendor_json(&wrapped), wrapped);
}

/// cloud-init runs again exactly when its data changes.
#[test]
fn the_instance_changes_with_what_is_told() {
    let one = seed(&told(&[])).meta;
    assert_eq!(
        seed(&told(&[("memory", "1024"), ("onboot", "1")])).meta,
        one
    );
    let changes = [
        ("ciuser", "other"),
        ("name", "other"),
        ("net0", "virtio=BC:24:11:00:00:09,bridge=vmbr0"),
        ("ipconfig1", "ip=dhcp"),
        ("nameserver", "10.0.0.54"),
    ];
    for change in changes {
        assert_ne!(seed(&told(&[change])).meta, one, "{change:?}");
    }
    let drive = |password| told(&[("ostype", "win10"), ("cipassword", password)]);
    assert_ne!(seed(&drive("a")).meta, seed(&drive("b")).meta);
}

#[test]
fn without_cards_and_servers_the_network_is_an_empty_list() {
    let config = config(&[]);
    let source = Source {
        vmid: VmId::new(100).unwrap(),
        config: &config,
        dns: &Dns::default(),
        custom: Custom::default(),
    };
    let network = source.render().unwrap().network;
    assert_eq!(network, "version: 1\nconfig: []\n");
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = told(&[]);
    let source = Source {
        vmid: VmId::new(100).unwrap(),
        config: &config,
        dns: &Dns::default(),
        custom: Custom {
            vendor: Some("x".repeat(CONTENT_BYTES_MAX)),
            ..Custom::default()
        },
    };
    assert_eq!(source.render().unwrap_err(), CloudInitError::TooBig);
}

#[test]
fn no_text_of_a_user_begins_a_line_of_its_own() {
    let config = told(&[("ciuser", "x: y # z"), ("name", "web")]);
    assert!(seed(&config).user.contains("\nuser: \"x: y # z\"\n"));
    // Debug output contains no password.
    assert!(!format!("{:?}", seed(&config)).contains("hash"));
}
