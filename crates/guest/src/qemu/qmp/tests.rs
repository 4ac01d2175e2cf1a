//! Tests with a scripted peer.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

use super::reader::{LINE_MAX, parse, read_line};
use super::*;

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"#;

/// The other end of a connection.
struct Peer {
    stream: BufReader<DuplexStream>,
}

impl Peer {
    async fn says(&mut self, text: &str) {
        self.stream
            .get_mut()
            .write_all(text.as_bytes())
            .await
            .unwrap();
        self.stream.get_mut().write_all(b"\r\n").await.unwrap();
    }

    /// The next request.
    async fn hears(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn answers(&mut self, request: &Value, answer: Value) {
        self.says(&json!({"return": answer, "id": request["id"]}).to_string())
            .await;
    }
}

async fn connected() -> (Qmp, Peer) {
    let (ours, theirs) = duplex(1 << 16);
    let mut peer = Peer {
        stream: BufReader::new(theirs),
    };
    let greet = async {
        peer.says(GREETING).await;
        let request = peer.hears().await;
        assert_eq!(request["execute"], "qmp_capabilities");
        peer.answers(&request, json!({})).await;
    };
    let (qmp, ()) = tokio::join!(Qmp::connect(ours), greet);
    (qmp.unwrap(), peer)
}

#[tokio::test]
async fn answers_find_their_commands_in_any_order() {
    let (qmp, mut peer) = connected().await;
    let script = async {
        let (first, second) = (peer.hears().await, peer.hears().await);
        peer.says(r#"{"event": "STOP", "timestamp": {"seconds": 7}}"#)
            .await;
        peer.answers(&second, json!("second")).await;
        peer.says(r#"{"return": 1, "id": 4711}"#).await;
        peer.answers(&first, json!("first")).await;
    };
    let mut events = qmp.events();
    let (first, second, ()) = tokio::join!(
        qmp.execute("a", json!({})),
        qmp.execute("b", Value::Null),
        script
    );
    assert_eq!(
        (first.unwrap(), second.unwrap()),
        (json!("first"), json!("second"))
    );
    let event = events.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.seconds), ("STOP", 7));
}

#[tokio::test]
async fn a_refusal_says_what_was_refused() {
    let (qmp, mut peer) = connected().await;
    let script = async {
        let request = peer.hears().await;
        let error = json!({"class": "CommandNotFound", "desc": "no such command", "new": 1});
        peer.says(&json!({"error": error, "id": request["id"]}).to_string())
            .await;
    };
    let (answer, ()) = tokio::join!(qmp.execute("nope", Value::Null), script);
    let error = answer.unwrap_err();
    assert!(error.is_unknown_command());
    assert_eq!(error.to_string(), "QEMU refused 'nope': no such command");
}

#[tokio::test]
async fn garbage_and_unknown_messages_are_passed_over() {
    let (qmp, mut peer) = connected().await;
    let script = async {
        let request = peer.hears().await;
        for text in [
            "",
            "garbage",
            "{\"half\":",
            "[]",
            "{\"new\": {}}",
            "{\"event\": 3}",
            "\u{0}",
        ] {
            peer.says(text).await;
        }
        peer.answers(
            &request,
            json!({"status": "running", "running": true, "new": 1}),
        )
        .await;
    };
    let (status, ()) = tokio::join!(qmp.status(), script);
    assert_eq!(status.unwrap().state, "running");
}

#[tokio::test]
async fn a_lost_connection_is_told_to_all_who_wait() {
    let (qmp, mut peer) = connected().await;
    let mut events = qmp.events();
    let script = async {
        let request = peer.hears().await;
        peer.hears().await;
        peer.says(r#"{"event": "SHUTDOWN", "data": {"guest": true}}"#)
            .await;
        // The last answer is incomplete.
        let half = format!(r#"{{"return": {{}}, "id": {}"#, request["id"]);
        peer.stream
            .get_mut()
            .write_all(half.as_bytes())
            .await
            .unwrap();
        drop(peer);
    };
    let (first, second, ()) = tokio::join!(qmp.cont(), qmp.pause(), script);
    assert!(first.unwrap_err().is_lost() && second.unwrap_err().is_lost());
    assert!(qmp.reset().await.unwrap_err().is_lost());
    assert_eq!(
        events.next_named("SHUTDOWN").await.unwrap().data["guest"],
        true
    );
    assert!(events.next().await.unwrap_err().is_lost());
    assert!(qmp.events().next().await.unwrap_err().is_lost());
}

#[tokio::test]
async fn quitting_ends_with_the_connection() {
    let (qmp, mut peer) = connected().await;
    let script = async {
        assert_eq!(peer.hears().await["execute"], "quit");
        drop(peer);
    };
    let (answer, ()) = tokio::join!(qmp.quit(), script);
    answer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_command_without_an_answer_times_out_alone() {
    let (qmp, mut peer) = connected().await;
    let error = qmp
        .execute_within("slow", Value::Null, Duration::from_secs(3))
        .await
        .unwrap_err();
    assert!(
        matches!(error, QmpError::TimedOut { seconds: 3, .. }),
        "{error}"
    );
    let slow = peer.hears().await;
    let script = async {
        let request = peer.hears().await;
        // The late answer belongs to no command any more.
        peer.answers(&slow, json!("late")).await;
        peer.answers(&request, json!({})).await;
    };
    let (answer, ()) = tokio::join!(qmp.cont(), script);
    answer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_greeting() {
    let (ours, _theirs) = duplex(64);
    assert!(Qmp::connect(ours).await.is_err());
    let (ours, theirs) = duplex(64);
    drop(theirs);
    assert!(Qmp::connect(ours).await.is_err());
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let (qmp, peer) = connected().await;
    let mut stream = peer.stream.into_inner();
    let flood = async {
        let chunk = vec![b'x'; 1 << 16];
        for _ in 0..=LINE_MAX / chunk.len() {
            if stream.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    let (answer, ()) = tokio::join!(qmp.cont(), flood);
    let error = answer.unwrap_err();
    assert_eq!(
        error.to_string(),
        "connection to QEMU is lost: a line is too long"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_message_makes_the_reader_panic(
        key in prop::sample::select(vec!["QMP", "event", "return", "error", "id", "x"]),
        other in prop::sample::select(vec!["data", "timestamp", "id", "desc"]),
        value in prop::sample::select(vec!["null", "1", "-1", "\"a\"", "[]", "{}", "1e99"]),
        second in prop::sample::select(vec!["null", "7", "\"b\"", "{\"seconds\": \"x\"}"]),
    ) {
        let _ = parse(format!("{{\"{key}\": {value}, \"{other}\": {second}}}").as_bytes());
    }

    #[test]
    fn lines_come_out_whole_however_they_are_cut(
        lines in prop::collection::vec("[a-z]{0,40}", 0..8),
        size in 1usize..20,
    ) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(async {
            let mut reader = BufReader::with_capacity(size, text.as_bytes());
            let (mut line, mut all) = (Vec::new(), Vec::new());
            while read_line(&mut reader, &mut line).await.unwrap() {
                all.push(String::from_utf8(line.clone()).unwrap());
            }
            all
        });
        prop_assert_eq!(read, lines);
    }
}
