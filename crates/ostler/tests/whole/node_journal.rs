//! The log of a node and its report.

use std::path::Path;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, put_guest};
use proto::wire::Answer;
use serde_json::{Value, json};
use testkit::left_out::not_here;

async fn ask(node: &TestNode, op: &str, params: Value) -> Result<Answer, model::Error> {
    let mut all = json!({"node": "pve1"});
    let given = params.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(given);
    let answer = node.call(op, all).await?;
    let row = proto::table::row(op).unwrap();
    let wrong = model::schema::check_shape(&row.returns, &answer.data);
    assert!(wrong.is_empty(), "{op}: {wrong:?}");
    Ok(answer)
}

fn texts(answer: &Answer) -> Vec<String> {
    let lines = answer.data.as_array().unwrap().iter();
    let text = |line: &Value| line["t"].as_str().or(line.as_str()).map(str::to_owned);
    lines.filter_map(text).collect()
}

async fn node() -> TestNode {
    TestNode::start(async |store| {
        let options = [
            ("memory", 64.into()),
            ("kvm", 0.into()),
            ("cipassword", "of-the-guest".into()),
            ("description", "first\nsecond".into()),
        ];
        put_guest(store, 100, &options).await;
    })
    .await
}

/// Without a journal the log shows the start and end of each task.
#[test]
fn node_syslog() {
    if left_out("node_syslog") {
        return;
    }
    with_bridge(async {
        let folders = ["/run/log/journal", "/var/log/journal"];
        let is_kept = |folder: &&str| {
            std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
        };
        let node = node().await;
        let guest = json!({"node": "pve1", "vmid": 100});
        assert_eq!(node.task("qemu_start", guest.clone()).await, "OK");
        assert_eq!(node.task("qemu_stop", guest).await, "OK");
        let log = ask(&node, "node_syslog", json!({"limit": 500}))
            .await
            .unwrap();
        let wrong = ask(&node, "node_syslog", json!({"since": "2026-99-99"})).await;
        if folders.iter().any(is_kept) {
            not_here("our own log", "this machine keeps a journal");
            assert!(!texts(&log).is_empty());
            return;
        }
        let fields = wrong.unwrap_err().fields;
        assert_eq!(fields["since"], "'2026-99-99' is not a time");
        let lines = texts(&log);
        let at = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
        let started = at(": <root@pam> starting task UPID:pve1:");
        assert!(started < at(":qmstop:100:root@pam: OK"), "{lines:?}");
        assert!(lines[started].contains(" pve1 pvedaemon["), "{lines:?}");
        assert_eq!(log.total, Some(lines.len() as u64));
        let params = json!({"start": 1, "limit": 1, "service": "ostler"});
        let page = ask(&node, "node_syslog", params).await.unwrap();
        assert_eq!(
            (texts(&page), page.data[0]["n"].as_u64()),
            (lines[1..2].to_vec(), Some(2))
        );
        let none = json!({"until": "1999-12-31 23:59"});
        let none = ask(&node, "node_syslog", none).await.unwrap();
        assert_eq!(texts(&none), ["no content"]);

        journal(&node, &lines).await;
    });
}

/// Paging by cursors, forwards and backwards, misses and repeats nothing.
async fn journal(node: &TestNode, lines: &[String]) {
    let read = async |params: Value| texts(&ask(node, "node_journal", params).await.unwrap());
    let all = read(json!({})).await;
    assert_eq!(all[1..all.len() - 1], *lines);
    let last = read(json!({"lastentries": 2})).await;
    assert_eq!(last[1..3], lines[lines.len() - 2..]);
    let before = read(json!({"endcursor": last[0], "lastentries": 1})).await;
    assert_eq!(before[1], lines[lines.len() - 3]);
    let again = read(json!({"startcursor": before[2]})).await;
    assert_eq!(again, last);
    let end = last[3].clone();
    assert_eq!(read(json!({"startcursor": end})).await, [end.clone(), end]);
    let both = json!({"since": 1, "startcursor": all[0]});
    let error = ask(node, "node_journal", both).await.unwrap_err();
    assert_eq!(error.fields["since"], "conflicts with 'startcursor'");
}

#[test]
fn node_report() {
    if left_out("node_report") {
        return;
    }
    with_bridge(async {
        let node = node().await;
        let report = ask(&node, "node_report", json!({})).await.unwrap().data;
        let report = report.as_str().unwrap();
        let release = std::fs::read_to_string(Path::new("/proc/sys/kernel/osrelease")).unwrap();
        for text in [
            "==== general system info ====\n\n# node\npve1\n",
            "\nqemu: ",
            release.trim(),
            "guest-user = \"games\"",
            "# dir: local\n",
            "\n# qemu 100 (stopped)\ncipassword: <hidden>\ndescription: first\\nsecond\n",
            "# ip -details address show\n1: lo:",
        ] {
            assert!(report.contains(text), "{text} in\n{report}");
        }
        assert!(!report.contains("of-the-guest"));
        println!("{report}");
    });
}
