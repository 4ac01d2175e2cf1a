//! Images made here, honest ones and others, unpacked into memory.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};

use serde_json::{Value, json};
use testkit::oci::{OciLayer, Tar, digest_of, oci_archive, oci_archive_for};

use super::*;

/// Files in memory: a folder is `/`, a link its target.
#[derive(Default)]
struct Memory(BTreeMap<String, String>);

impl Place for Memory {
    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.0.remove(path);
        self.clear(path)
    }

    fn clear(&mut self, path: &str) -> io::Result<()> {
        let below = format!("{path}/");
        let is_below = |name: &str| path.is_empty() || name.starts_with(&below);
        self.0.retain(|name, _| !is_below(name));
        Ok(())
    }

    fn put(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<bool> {
        let mut text = String::new();
        content.read_to_string(&mut text)?;
        let shown = match entry.kind {
            Kind::Folder => "/".to_owned(),
            Kind::CharacterDevice => return Ok(false),
            Kind::File => text,
            _ => format!("-> {}", entry.target),
        };
        self.0.insert(entry.path.clone(), shown);
        Ok(true)
    }

    fn folder(&mut self, path: &str) -> io::Result<()> {
        self.0.entry(path.to_owned()).or_insert_with(|| "/".into());
        Ok(())
    }

    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).map(|text| text.clone().into_bytes()))
    }
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn unpacked(archive: &[u8]) -> (Memory, Result<ImageOutcome, ImageError>) {
    let mut place = Memory::default();
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let outcome = unpack(file(archive), arch, &mut place, &mut |_| {});
    (place, outcome)
}

fn refusal(archive: &[u8]) -> String {
    let (place, outcome) = unpacked(archive);
    assert_eq!(place.0, BTreeMap::new(), "something was written");
    outcome.unwrap_err().to_string()
}

fn shown(place: &Memory) -> Vec<String> {
    let lines = place.0.iter().map(|(path, what)| format!("{path} {what}"));
    lines.collect()
}

fn with(config: Value, users: &str) -> Result<ImageOptions, ImageError> {
    let layer = Tar::default().file("etc/passwd", users).file(
        "etc/group",
        "app:x:7:\nvideo:x:44:app,other\naudio:x:29:other\n",
    );
    let (_, outcome) = unpacked(&oci_archive(&config, &[OciLayer::plain(layer)]));
    outcome.map(|outcome| outcome.options.unwrap())
}

#[test]
fn layers_lie_on_each_other() {
    let lower = Tar::default()
        .folder("./etc/")
        .file("etc/kept", "lower")
        .file("etc/gone", "lower")
        .file("var/cache/a", "lower")
        .file("var/cache/deep/b", "lower")
        .file("old/c", "lower")
        .file("dev/null", "left to LXC")
        .link("bin", "usr/bin");
    let upper = Tar::default()
        // What takes away comes after what it does not take away, as it is of the same layer.
        .file("var/cache/new", "upper")
        .file("var/cache/.wh..wh..opq", "")
        .file("etc/.wh.gone", "")
        .file(".wh.old", "")
        .file(".wh..wh.plnk", "")
        .file("old", "a file by now")
        .hard_link("/etc/also", "./etc/kept")
        .member("mem", b'3', "", b"");
    let layers = [OciLayer::gzipped(lower), OciLayer::plain(upper)];
    let volumes = json!({"Volumes": {"/data/x": {}, "/etc": {}}});
    let (place, outcome) = unpacked(&oci_archive(&volumes, &layers));
    let outcome = outcome.unwrap();
    insta::assert_snapshot!(shown(&place).join("\n"), @r"
    bin -> usr/bin
    data/x /
    etc /
    etc/also -> etc/kept
    etc/kept lower
    old a file by now
    var/cache/new upper
    ");
    let digest = digest_of(&layers[1].blob);
    let warning = format!("1 devices of {digest} were left out");
    assert_eq!(outcome.warnings, [warning]);
    assert_eq!(outcome.options, Some(ImageOptions::default()));
}

#[test]
fn layers_of_zstd_in_several_frames_are_read() {
    let plain = OciLayer::plain(Tar::default().file("a", "content"));
    let (first, second) = plain.blob.split_at(700);
    let frames = [first, second].map(|part| zstd::encode_all(part, 1).unwrap());
    let layer = OciLayer {
        media_type: "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(),
        blob: frames.concat(),
        ..plain
    };
    let (place, outcome) = unpacked(&oci_archive(&json!(null), &[layer]));
    outcome.unwrap();
    assert_eq!(shown(&place), ["a content"]);
}

#[test]
fn names_that_are_too_long_for_a_header_are_read() {
    let long = format!("{}/{}", "folder".repeat(20), "name".repeat(30));
    let by_pax = |path: &str| {
        let record = format!(" path={path}\n");
        let length = record.len() + 3;
        Tar::default().member("x", b'x', "", format!("{length}{record}").as_bytes())
    };
    let by_gnu = |path: &str| Tar::default().member("x", b'L', "", format!("{path}\0").as_bytes());
    for tar in [by_pax(&long), by_gnu(&long)] {
        let layer = OciLayer::plain(tar.file("short", "content"));
        let (place, outcome) = unpacked(&oci_archive(&json!({}), &[layer]));
        outcome.unwrap();
        assert_eq!(shown(&place), [format!("{long} content")]);
    }
}

#[test]
fn an_archive_that_is_no_image_is_left_to_tar() {
    for content in [
        Tar::default().file("etc/passwd", "root").end(),
        Tar::default().file("index.json", "{}").end(),
        b"no archive at all".to_vec(),
        Vec::new(),
    ] {
        let (place, outcome) = unpacked(&content);
        assert_eq!(outcome.unwrap(), ImageOutcome::default());
        assert_eq!(place.0, BTreeMap::new());
    }
}

#[test]
fn what_climbs_is_refused_before_anything_is_written() {
    let names = |tar: Tar| {
        let layer = OciLayer::gzipped(Tar::default().file("first", "").raw(&tar.end()));
        refusal(&oci_archive(&json!({}), &[layer]))
    };
    for (tar, why) in [
        (
            Tar::default().file("../../etc/passwd", "x"),
            "the path '../../etc/passwd' leads out of it",
        ),
        (
            Tar::default().file("a/../../b", "x"),
            "the path 'a/../../b' leads out of it",
        ),
        (
            Tar::default().hard_link("a", "../etc/shadow"),
            "the path '../etc/shadow' leads out of it",
        ),
        (
            Tar::default().file("etc/.wh...", ""),
            "'etc/.wh...' takes away what is not below it",
        ),
        (
            Tar::default().file(".wh..", ""),
            "'.wh..' takes away what is not below it",
        ),
        (
            Tar::default().file(".wh.", ""),
            "'.wh.' takes away what is not below it",
        ),
        (
            Tar::default().file("../.wh.x", ""),
            "the path '../.wh.x' leads out of it",
        ),
        (
            Tar::default().member("a", b'S', "", b""),
            "a member of it is of an unknown kind",
        ),
        (
            Tar::default().raw(&[7; 512]),
            "a number in a header is wrong",
        ),
    ] {
        let said = names(tar);
        assert!(said.ends_with(why), "{said}");
        assert!(
            said.starts_with("the image is refused: in layer sha256:"),
            "{said}"
        );
    }
}

#[test]
fn what_does_not_have_its_digest_is_refused_before_anything_is_written() {
    let layer = OciLayer::gzipped(Tar::default().file("a", "content"));
    let other = digest_of(b"other");
    let lies = OciLayer {
        diff_id: other.clone(),
        ..layer.clone()
    };
    let said = refusal(&oci_archive(&json!({}), &[lies]));
    assert_eq!(
        said,
        format!("the image is refused: the content of {other} has another digest")
    );

    // A bit of the blob, behind the archive's back.
    let mut archive = oci_archive(&json!({}), std::slice::from_ref(&layer));
    let at = archive
        .windows(layer.blob.len())
        .position(|part| part == layer.blob)
        .unwrap();
    archive[at + 4] ^= 1;
    let digest = digest_of(&layer.blob);
    let said = refusal(&archive);
    assert_eq!(
        said,
        format!("the image is refused: the content of {digest} has another digest")
    );

    // The configuration, which is named by its digest too.
    let mut archive = oci_archive(&json!({"User": "root"}), &[layer]);
    let at = archive.windows(4).position(|part| part == b"root").unwrap();
    archive[at] = b'b';
    let said = refusal(&archive);
    assert!(said.ends_with("has another digest"), "{said}");
}

#[test]
fn what_ends_early_or_is_too_long_is_refused() {
    let whole = Tar::default().file("a", "content").end();
    let cut = OciLayer {
        blob: whole[..600].to_vec(),
        ..OciLayer::plain(Tar::default())
    };
    let said = refusal(&oci_archive(&json!({}), &[cut]));
    assert!(said.ends_with("it ends early"), "{said}");
    let huge = vec![0; 2 << 20];
    let long = OciLayer::gzipped(Tar::default().member("x", b'L', "", &huge));
    let said = refusal(&oci_archive(&json!({}), &[long]));
    assert!(said.ends_with("a header of it is too long"), "{said}");
    let archive = oci_archive(
        &json!({}),
        &[OciLayer::plain(Tar::default().file("a", "b"))],
    );
    let layout = archive
        .windows(10)
        .position(|part| part == b"oci-layout")
        .unwrap();
    // Without its end it is no image: what makes it one is its last member.
    let (_, outcome) = unpacked(&archive[..layout]);
    assert_eq!(outcome.unwrap(), ImageOutcome::default());
}

#[test]
fn an_image_for_others_is_refused() {
    let said = refusal(&oci_archive_for("riscv64", &json!({}), &[]));
    assert!(
        said.contains("it has no manifest for") && said.contains("(s390x, riscv64)"),
        "{said}"
    );
    let unknown = OciLayer {
        media_type: "application/octet-stream".to_owned(),
        ..OciLayer::plain(Tar::default())
    };
    let said = refusal(&oci_archive(&json!({}), &[unknown]));
    assert!(
        said.ends_with("layers of type 'application/octet-stream' are not known"),
        "{said}"
    );
}

#[test]
fn a_configuration_becomes_options() {
    let options = with(
        json!({
            "Entrypoint": ["/bin/app", "--name", "two words"], "Cmd": ["it's", ""],
            "Env": ["PATH=/bin", "A=b=c", "not-a-name=1"], "WorkingDir": "/srv",
            "User": "app", "StopSignal": "SIGQUIT",
        }),
        "root:x:0:0::/:\napp:x:1000:7::/:\n",
    );
    let options = options.unwrap();
    let entrypoint = options.entrypoint.unwrap();
    assert_eq!(entrypoint, r#"/bin/app --name 'two words' 'it'"'"'s' ''"#);
    let words = ["/bin/app", "--name", "two words", "it's", ""];
    assert_eq!(split_words(&entrypoint), words);
    assert_eq!(options.environment, ["PATH=/bin", "A=b=c"]);
    let keys = options
        .lxc
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    assert_eq!(
        keys.collect::<Vec<_>>(),
        [
            "lxc.init.uid=1000",
            "lxc.init.gid=7",
            "lxc.init.groups=44",
            "lxc.init.cwd=/srv",
            "lxc.signal.halt=SIGQUIT",
        ]
    );
    let init = with(json!({"Cmd": ["/sbin/init"], "Env": null}), "").unwrap();
    assert_eq!(init, ImageOptions::default());
    let plain = with(json!({"Cmd": ["/bin/sh"]}), "").unwrap();
    assert_eq!(
        plain.lxc,
        [("lxc.signal.halt".to_owned(), "SIGTERM".to_owned())]
    );
}

#[test]
fn users_are_looked_up_in_the_image() {
    let ids = |user: &str| {
        let options = with(json!({"User": user}), "app:x:1000:7::/:\n");
        let keys = options.map(|options| options.lxc);
        keys.map(|keys| keys.into_iter().map(|(_, id)| id).collect::<Vec<_>>())
    };
    assert_eq!(ids("1000").unwrap(), ["1000", "7", "44"]);
    assert_eq!(ids("5").unwrap(), ["5", "0"]);
    assert_eq!(ids("app:video").unwrap(), ["1000", "44"]);
    assert_eq!(ids("8:9").unwrap(), ["8", "9"]);
    for (user, why) in [
        ("nobody", "there is no user 'nobody'"),
        ("1:x", "there is no group 'x'"),
    ] {
        assert!(ids(user).unwrap_err().to_string().ends_with(why));
    }
}

#[test]
fn a_configuration_writes_no_lines_of_its_own() {
    for (config, why) in [
        (
            json!({"Env": ["A=1\nlxc.hook.start=/bin/sh"]}),
            "has control characters",
        ),
        (
            json!({"Cmd": ["/bin/a\nlxc.hook.start = x"]}),
            "has control characters",
        ),
        (json!({"WorkingDir": "/a\nb"}), "has control characters"),
        (json!({"WorkingDir": "a"}), "'a' is no working folder"),
        (json!({"StopSignal": "KILL; x"}), "'KILL; x' is no signal"),
        (json!({"User": "a\nb"}), "has control characters"),
        (
            json!({"Volumes": {"/a/../..": {}}}),
            "'/a/../..' cannot be a volume of it",
        ),
    ] {
        let said = with(config, "").unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
    let other = ImageOptions {
        lxc: vec![("lxc.hook.start".to_owned(), "/bin/sh".to_owned())],
        ..ImageOptions::default()
    };
    let said = other.check().unwrap_err().to_string();
    assert_eq!(
        said,
        "the image is refused: it has no say in 'lxc.hook.start'"
    );
}

#[test]
fn words_are_parted_as_a_shell_parts_them() {
    for (text, words) in [
        ("", vec![]),
        ("  /bin/a   b\t", vec!["/bin/a", "b"]),
        (
            r#"a 'b c' "d \"e\" \n" f\ g"#,
            vec!["a", "b c", r#"d "e" \n"#, "f g"],
        ),
        ("a '' b'c'd", vec!["a", "", "bcd"]),
        ("a 'no end", vec!["a", "no end"]),
    ] {
        assert_eq!(split_words(text), words, "{text}");
    }
}
