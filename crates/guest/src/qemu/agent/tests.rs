//! With the fake agent of `testkit`, and with a scripted peer.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::FakeAgent;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

use super::client::Limits;
use super::reader::{Line, Message, parse, read_line, skip_to_sync};
use super::*;

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);

const LIMITS: Limits = Limits {
    within: LONG,
    answer_bytes_max: 1000,
};

async fn connected(fake: &FakeAgent) -> GuestAgent {
    GuestAgent::connect(fake.connect(), LONG).await.unwrap()
}

#[tokio::test]
async fn commands_are_answered_after_the_handshake() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    agent.ping().await.unwrap();
    let name = PlainCommand::from_api_name("get-host-name").unwrap();
    assert_eq!(
        agent.plain(name).await.unwrap(),
        json!({"host-name": "fake"})
    );
    assert_eq!(fake.commands(), ["guest-ping", "guest-get-host-name"]);
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_silent() {
    let (ours, _theirs) = duplex(1 << 10);
    let error = GuestAgent::connect(ours, SOON).await.unwrap_err();
    assert_eq!(error, AgentError::Silent);
    let (ours, theirs) = duplex(1 << 10);
    drop(theirs);
    let error = GuestAgent::connect(ours, LONG).await.unwrap_err();
    assert!(matches!(error, AgentError::Lost { .. }), "{error:?}");
}

/// The answer of a command that timed out comes while the next one is awaited.
#[tokio::test]
async fn a_late_answer_is_never_taken_for_anothers() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    fake.slow_down();
    let limits = Limits {
        within: SOON,
        ..LIMITS
    };
    let late = agent.execute("guest-info", Value::Null, limits).await;
    assert!(matches!(late, Err(AgentError::TimedOut { .. })), "{late:?}");
    let again = agent.ping().await.unwrap_err();
    assert!(
        matches!(again, AgentError::Lost { .. }),
        "a spent connection: {again:?}"
    );
    drop(agent);
    // The channel also has the answer to a handshake that was abandoned.
    let given_up = GuestAgent::connect(fake.connect(), SOON).await;
    assert_eq!(given_up.unwrap_err(), AgentError::Silent);
    let (stream, waiting) = (fake.connect(), async {
        tokio::task::yield_now().await;
        fake.catch_up();
    });
    let (agent, ()) = tokio::join!(GuestAgent::connect(stream, LONG), waiting);
    let answer = agent.unwrap().ping_answer().await;
    assert_eq!(
        answer,
        json!({}),
        "not the version that was asked for before"
    );
}

impl GuestAgent {
    async fn ping_answer(&mut self) -> Value {
        self.execute("guest-ping", Value::Null, LIMITS)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_spends_the_connection() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    fake.slow_down();
    let cancelled = tokio::time::timeout(SOON, agent.ping()).await;
    assert!(cancelled.is_err());
    fake.catch_up();
    assert!(agent.ping().await.is_err());
}

#[tokio::test]
async fn a_refusal_says_why_and_the_connection_goes_on() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    let error = agent.exec_status(7).await.unwrap_err();
    let text = "the guest agent refused 'guest-exec-status': PID does not exist";
    assert_eq!(error.to_string(), text);
    agent.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_silently_done_is_known_by_the_next_handshake() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    let refused = agent.shut_down().await.unwrap_err();
    assert!(matches!(refused, AgentError::Refused { .. }), "{refused:?}");
    fake.on_shutdown(|| {});
    let mut agent = connected(&fake).await;
    agent.shut_down().await.unwrap();
    agent.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_frozen_is_thawed() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    assert_eq!(agent.freeze().await.unwrap(), 1);
    assert_eq!(agent.freeze_status().await.unwrap(), FreezeStatus::Frozen);
    let refused = agent.exec("/bin/true", &[], None).await.unwrap_err();
    assert!(
        refused.to_string().contains("has been disabled"),
        "{refused}"
    );
    assert_eq!(agent.thaw().await.unwrap(), 1);
    assert_eq!(agent.freeze_status().await.unwrap(), FreezeStatus::Thawed);
}

#[tokio::test]
async fn a_program_gets_its_input_and_its_output_is_bytes() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    let input = [0, 1, 255, b'\n'];
    let pid = agent.exec("/bin/cat", &["-".into()], Some(&input)).await;
    let status = agent.exec_status(pid.unwrap()).await.unwrap();
    assert_eq!(status.out.as_deref(), Some(&input[..]));
    assert_eq!(
        (status.exited, status.exit_code, status.err),
        (true, Some(0), None)
    );
}

#[tokio::test]
async fn files_are_read_in_pieces_and_their_end_is_known() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    let bytes: Vec<u8> = (0..1_200_000_u32).map(|at| (at % 251) as u8).collect();
    agent.write_file("/f", &bytes).await.unwrap();
    let whole = agent.read_file("/f", 0, bytes.len()).await.unwrap();
    assert!(whole.bytes == bytes && !whole.is_truncated);
    let part = agent.read_file("/f", 5, 1_100_000).await.unwrap();
    assert!(part.bytes == bytes[5..1_100_005] && part.is_truncated);
    let none = agent.read_file("/f", 9_000_000, 10).await.unwrap();
    assert_eq!(none, FileContent::default());
    let missing = agent.read_file("/g", 0, 1).await.unwrap_err();
    assert!(
        missing.to_string().ends_with("'/g': No such file"),
        "{missing}"
    );
    let opened = fake
        .commands()
        .iter()
        .filter(|c| *c == "guest-file-open")
        .count();
    let closed = fake
        .commands()
        .iter()
        .filter(|c| *c == "guest-file-close")
        .count();
    assert_eq!(
        opened,
        closed + 1,
        "all but the one that could not be opened"
    );
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let fake = FakeAgent::default();
    let mut agent = connected(&fake).await;
    fake.slow_down();
    fake.babble(&[b'x'; 2000]);
    let error = agent.execute("guest-ping", Value::Null, LIMITS).await;
    let command = "guest-ping".to_owned();
    let bytes_max = LIMITS.answer_bytes_max;
    assert_eq!(error, Err(AgentError::TooLong { command, bytes_max }));
}

/// Answers the handshake as an agent does, and nothing else.
async fn shake(stream: DuplexStream, before: &[u8]) -> DuplexStream {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    assert_eq!(
        read_line(&mut stream, &mut line, 1000).await.unwrap(),
        Line::Whole
    );
    let request: Value = serde_json::from_slice(&line[1..]).unwrap();
    assert_eq!(
        (line[0], &request["execute"]),
        (0xff, &json!("guest-sync-delimited"))
    );
    let mut answer = before.to_vec();
    answer.extend(format!("{{\"return\": {}}}\n", request["arguments"]["id"]).into_bytes());
    stream.get_mut().write_all(&answer).await.unwrap();
    stream.into_inner()
}

#[tokio::test]
async fn the_handshake_passes_over_all_that_is_not_its_answer() {
    let (ours, theirs) = duplex(1 << 10);
    let before = b"{\"return\": 1}\n\xff{\"return\": 7}\n\xff garbage\n{\"half\xff\xff";
    let (agent, _theirs) = tokio::join!(GuestAgent::connect(ours, LONG), shake(theirs, before));
    agent.unwrap();
    // Without its delimiter it is an answer to another client, whatever its content.
    let (ours, theirs) = duplex(1 << 10);
    let (agent, _theirs) = tokio::join!(GuestAgent::connect(ours, SOON), shake(theirs, b""));
    assert_eq!(agent.unwrap_err(), AgentError::Silent);
}

#[tokio::test]
async fn garbage_in_the_place_of_an_answer_spends_the_connection() {
    let (ours, theirs) = duplex(1 << 10);
    let (agent, mut theirs) = tokio::join!(GuestAgent::connect(ours, LONG), shake(theirs, b"\xff"));
    let mut agent = agent.unwrap();
    let garbage = async {
        let mut request = [0; 10];
        theirs.read_exact(&mut request).await.unwrap();
        theirs
            .write_all(b"\n\xff{\"return\": 3}\nnonsense\n")
            .await
            .unwrap();
    };
    let (answer, ()) = tokio::join!(agent.ping(), garbage);
    assert!(
        matches!(answer, Err(AgentError::Unexpected { .. })),
        "{answer:?}"
    );
    assert!(agent.ping().await.is_err());
}

#[test]
fn names_of_the_api_are_those_of_the_agent() {
    for plain in PLAIN_COMMANDS {
        assert_eq!(format!("guest-{}", plain.api_name()), plain.name());
        assert_eq!(PlainCommand::from_api_name(plain.api_name()), Some(*plain));
    }
    assert_eq!(PlainCommand::from_api_name("guest-ping"), None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let passed = runtime.block_on(skip_to_sync(&mut &bytes[..], 1 << 40));
        prop_assert_eq!(passed.unwrap(), false);
    }

    #[test]
    fn no_message_makes_the_reader_panic(
        key in prop::sample::select(vec!["return", "error", "id", "x"]),
        value in prop::sample::select(vec!["null", "1", "\"a\"", "[]", "{}", "{\"desc\": 3}"]),
    ) {
        let message = parse(format!("{{\"{key}\": {value}}}").as_bytes());
        prop_assert_eq!(message.is_some(), matches!(key, "return" | "error"));
        prop_assert_eq!(matches!(message, Some(Message::Refusal { .. })), key == "error");
    }
}
