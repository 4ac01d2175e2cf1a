//! The kernel's network, and each fault of the lab's.

use std::time::Duration;

use lab::{Fate, Lab, Moment, Node};

const SOON: Duration = Duration::from_secs(30);

/// Whether at least one of three pings is answered.
fn reaches(from: &Node, to: &str) -> bool {
    let ping = format!("ping -c 3 -i 0.3 -W 2 {to}");
    from.run(&ping).unwrap().success()
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_bridge_that_filters_vlans_keeps_them_apart_over_a_trunk() {
    let lab = Lab::start(2).unwrap();
    for node in lab.nodes() {
        let number = node.number();
        node.check(&format!(
            "set -e; ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0
             ip link set eth1 master br0 up; ip link set br0 up
             bridge vlan add dev eth1 vid 10; bridge vlan add dev eth1 vid 20
             for vlan in 10 20; do
               ip netns add v$vlan; ip link add v$vlan type veth peer name eth0 netns v$vlan
               ip link set v$vlan master br0 up; bridge vlan add dev v$vlan vid $vlan pvid untagged
               ip -n v$vlan addr add 192.0.2.$((vlan + {number}))/24 dev eth0
               ip -n v$vlan link set eth0 up
             done"
        ))
        .unwrap();
    }
    let reaches = |vlan: u8, last: u8| {
        let ping = format!("ip netns exec v{vlan} ping -c 3 -i 0.3 -W 2 192.0.2.{last}");
        lab.node(1).run(&ping).unwrap().success()
    };
    assert!(reaches(10, 12), "the same VLAN on the other node");
    assert!(reaches(20, 22), "the same VLAN on the other node");
    assert!(!reaches(10, 21), "another VLAN on this node");
    assert!(!reaches(10, 22), "another VLAN on the other node");
    let tagged = lab
        .hub()
        .trace()
        .into_iter()
        .filter(|seen| seen.ethertype == 0x8100);
    assert!(tagged.count() > 0, "the trunk carries tags");
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_bond_goes_on_over_the_other_card_when_a_cable_is_pulled() {
    let lab = Lab::start(2).unwrap();
    let (a, b) = (lab.node(1), lab.node(2));
    a.check(
        "set -e; ip link add bond0 type bond mode active-backup miimon 100
         ip link set eth1 master bond0; ip link set eth2 master bond0
         ip link set bond0 up; ip addr add 192.0.2.1/24 dev bond0",
    )
    .unwrap();
    b.check("ip link set eth1 up; ip addr add 192.0.2.2/24 dev eth1")
        .unwrap();
    let active = "cat /sys/class/net/bond0/bonding/active_slave";
    a.wait_until(SOON, &format!("[ \"$({active})\" = eth1 ]"))
        .unwrap();
    assert!(reaches(b, "192.0.2.1"));
    a.unplug(1).unwrap();
    let pulled = Moment::now();
    a.wait_until(SOON, &format!("[ \"$({active})\" = eth2 ]"))
        .unwrap();
    println!(
        "the bond was on the other card after {:?}",
        pulled.elapsed()
    );
    assert_eq!(a.check("cat /sys/class/net/eth1/carrier").unwrap(), "0");
    assert!(reaches(b, "192.0.2.1"));
    // With all links down there is no path; with the first one up there is one again.
    a.unplug(2).unwrap();
    assert!(!reaches(b, "192.0.2.1"));
    a.plug(1).unwrap();
    a.wait_until(SOON, &format!("[ \"$({active})\" = eth1 ]"))
        .unwrap();
    assert!(reaches(b, "192.0.2.1"));
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn cuts_are_between_pairs_and_isolation_from_all() {
    let lab = Lab::start(3).unwrap();
    let (hub, a, b, c) = (lab.hub(), lab.node(1), lab.node(2), lab.node(3));
    assert!(reaches(a, "n2") && reaches(b, "n3") && reaches(c, "n1"));
    hub.cut(a, b);
    assert!(!reaches(a, "n2") && !reaches(b, "n1"));
    assert!(reaches(c, "n1") && reaches(c, "n2"));
    assert_eq!(
        a.check("cat /sys/class/net/eth0/carrier").unwrap(),
        "1",
        "a cut is silent"
    );
    assert!(hub.counters(a, b).cut > 0 && hub.counters(b, a).cut > 0);
    assert_eq!(hub.counters(a, c).cut, 0);
    hub.heal();
    assert!(reaches(a, "n2"));
    hub.isolate(c);
    assert!(!reaches(a, "n3") && !reaches(b, "n3") && !reaches(c, "n1"));
    assert!(reaches(a, "n2"));
    hub.heal();
    assert!(reaches(c, "n1"));
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_one_way_cut_lets_the_other_way_through() {
    let lab = Lab::start(2).unwrap();
    let (hub, a, b) = (lab.hub(), lab.node(1), lab.node(2));
    // Neighbour entries are permanent, so that no ARP is needed.
    for (node, other) in [(a, b), (b, a)] {
        let (address, mac) = (other.address(), other.mac(0));
        node.check(&format!(
            "ip neigh replace {address} lladdr {mac} dev eth0 nud permanent"
        ))
        .unwrap();
    }
    hub.one_way(a, b);
    assert!(!reaches(a, "n2") && !reaches(b, "n1"), "no answer can come");
    let send = |from: &Node, to: &Node| {
        let receive = "timeout 10 socat -u UDP-RECV:5000 STDOUT | head -c 5 >/run/heard & \
                       until ss -uln | grep -q :5000; do sleep 0.05; done; echo listening; wait";
        let job = to.spawn(receive).unwrap();
        job.next(SOON).unwrap();
        from.check(&format!(
            "for n in 1 2 3; do echo word | socat -u - UDP:{}:5000; done",
            to.address()
        ))
        .unwrap();
        job.wait(SOON).unwrap();
        to.check("cat /run/heard; rm /run/heard").unwrap()
    };
    assert_eq!(send(b, a), "word");
    assert_eq!(send(a, b), "");
    let fates: Vec<Fate> = hub
        .trace()
        .into_iter()
        .filter(|seen| (seen.from, seen.to) == (1, 2))
        .map(|seen| seen.fate)
        .collect();
    assert!(fates.contains(&Fate::Cut));
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn frames_are_lost_by_share_and_come_late() {
    let lab = Lab::start(2).unwrap();
    let (hub, a, b) = (lab.hub(), lab.node(1), lab.node(2));
    assert!(reaches(a, "n2"));
    hub.loss(a, b, 0.5);
    let before = hub.counters(a, b);
    let said = a.run("ping -c 100 -i 0.02 -W 1 n2").unwrap().text();
    let answered: u32 = said
        .lines()
        .find(|line| line.contains("packets transmitted"))
        .and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok())
        .unwrap();
    // Half of the requests arrive, and half of their answers return.
    assert!((8..=45).contains(&answered), "{said}");
    assert!(hub.counters(a, b).lost > before.lost + 20);
    hub.heal();
    hub.delay(a, b, Duration::from_millis(200));
    let said = a.check("ping -c 3 -W 5 n2").unwrap();
    let fastest: f64 = said
        .lines()
        .find_map(|line| line.split("rtt min/avg/max/mdev = ").nth(1))
        .and_then(|figures| figures.split('/').next()?.parse().ok())
        .unwrap();
    assert!((400.0..1000.0).contains(&fastest), "{said}");
    hub.heal();
    assert!(reaches(a, "n2"));
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_pulled_cable_is_noticed_by_the_node_alone_that_has_it() {
    let lab = Lab::start(2).unwrap();
    let (a, b) = (lab.node(1), lab.node(2));
    assert!(reaches(a, "n2"));
    a.unplug(0).unwrap();
    a.wait_until(SOON, "[ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]")
        .unwrap();
    assert_eq!(b.check("cat /sys/class/net/eth0/carrier").unwrap(), "1");
    assert!(!reaches(b, "n1"));
    a.plug(0).unwrap();
    a.wait_until(SOON, "[ \"$(cat /sys/class/net/eth0/carrier)\" = 1 ]")
        .unwrap();
    assert!(reaches(b, "n1"));
}
