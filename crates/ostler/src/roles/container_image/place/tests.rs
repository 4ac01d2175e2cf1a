//! A container's root beside a folder of the host, which no entry may reach.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.to_owned(),
        kind,
        mode: 0o644,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        changed: 1_700_000_000,
        size: 0,
        target: String::new(),
        device: (0, 0),
        attributes: Vec::new(),
    }
}

/// A folder with a container's root in it, and a file beside that root.
fn beside() -> (tempfile::TempDir, Below) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("root")).unwrap();
    fs::create_dir(folder.path().join("host")).unwrap();
    fs::write(folder.path().join("host/passwd"), "the host's").unwrap();
    let place = Below::open(folder.path().join("root")).unwrap();
    (folder, place)
}

fn write(place: &mut Below, path: &str, content: &str) -> io::Result<bool> {
    place.put(&entry(path, Kind::File), &mut content.as_bytes())
}

fn is_untouched(folder: &tempfile::TempDir) -> bool {
    let host = folder.path().join("host");
    let names = fs::read_dir(&host).unwrap().count();
    fs::read_to_string(host.join("passwd")).unwrap() == "the host's" && names == 1
}

#[test]
fn links_out_of_the_tree_lead_into_it() {
    let (folder, mut place) = beside();
    let host = folder.path().join("host");
    let root = folder.path().join("root");
    symlink(&host, root.join("absolute")).unwrap();
    symlink("../host", root.join("climbing")).unwrap();
    symlink("/../../../../../../host", root.join("both")).unwrap();
    for link in ["absolute", "climbing", "both"] {
        // The folder that the link names is not there, so nothing can be put into it.
        write(&mut place, &format!("{link}/passwd"), "changed").unwrap_err();
        place.remove(&format!("{link}/passwd")).unwrap();
        place.clear(link).unwrap();
        assert_eq!(place.read(&format!("{link}/passwd")).unwrap(), None);
        let mut hard = entry("stolen", Kind::HardLink);
        hard.target = format!("{link}/passwd");
        place.put(&hard, &mut io::empty()).unwrap_err();
    }
    assert!(is_untouched(&folder));
    // With a folder of that name inside, this is where they lead.
    fs::create_dir(root.join("host")).unwrap();
    write(&mut place, "climbing/passwd", "inside").unwrap();
    write(&mut place, "both/shadow", "inside").unwrap();
    assert_eq!(fs::read(root.join("host/passwd")).unwrap(), b"inside");
    assert_eq!(fs::read(root.join("host/shadow")).unwrap(), b"inside");
    assert!(is_untouched(&folder));
}

#[test]
fn a_file_takes_the_place_of_a_link_and_not_of_what_it_leads_to() {
    let (folder, mut place) = beside();
    let root = folder.path().join("root");
    symlink(folder.path().join("host/passwd"), root.join("file")).unwrap();
    symlink(folder.path().join("host"), root.join("folder")).unwrap();
    write(&mut place, "file", "new").unwrap();
    place
        .put(&entry("folder", Kind::Folder), &mut io::empty())
        .unwrap();
    assert_eq!(fs::read(root.join("file")).unwrap(), b"new");
    assert!(root.join("folder").symlink_metadata().unwrap().is_dir());
    assert!(is_untouched(&folder));
}

#[test]
fn what_is_removed_goes_with_all_that_is_in_it_and_no_link_is_followed() {
    let (folder, mut place) = beside();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::write(root.join("a/b/file"), "").unwrap();
    symlink(folder.path().join("host"), root.join("a/b/link")).unwrap();
    place.remove("a").unwrap();
    assert!(!root.join("a").exists());
    place.remove("a").unwrap();
    place.remove("missing/deeper").unwrap();

    symlink(folder.path().join("host"), root.join("link")).unwrap();
    fs::write(root.join("file"), "").unwrap();
    place.remove("link").unwrap();
    place.clear("").unwrap();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    assert!(is_untouched(&folder));
}

#[test]
fn files_have_what_their_entries_say() {
    let (folder, mut place) = beside();
    let root = folder.path().join("root");
    let mut file = entry("usr/bin/app", Kind::File);
    file.mode = 0o4755;
    place.put(&file, &mut &b"program"[..]).unwrap();
    let metadata = root.join("usr/bin/app").metadata().unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o4755);
    assert_eq!(metadata.mtime(), 1_700_000_000);

    let mut hard = entry("app", Kind::HardLink);
    hard.target = "usr/bin/app".to_owned();
    place.put(&hard, &mut io::empty()).unwrap();
    // A second time, and to itself: the file stays.
    place.put(&hard, &mut io::empty()).unwrap();
    hard.path = "usr/bin/app".to_owned();
    place.put(&hard, &mut io::empty()).unwrap();
    assert_eq!(root.join("app").metadata().unwrap().nlink(), 2);
    assert_eq!(fs::read(root.join("app")).unwrap(), b"program");

    let mut link = entry("sh", Kind::Link);
    link.target = "/usr/bin/app".to_owned();
    place.put(&link, &mut io::empty()).unwrap();
    let target = fs::read_link(root.join("sh")).unwrap();
    assert_eq!(target.to_str(), Some("/usr/bin/app"));
    // A folder that is there keeps its files.
    place
        .put(&entry("usr/bin", Kind::Folder), &mut io::empty())
        .unwrap();
    assert!(root.join("usr/bin/app").exists());
    // A pipe is never opened.
    place
        .put(&entry("pipe", Kind::Pipe), &mut io::empty())
        .unwrap();
    write(&mut place, "pipe", "a file by now").unwrap();
    assert_eq!(place.read("pipe").unwrap().unwrap(), b"a file by now");
}

#[test]
fn an_owner_that_cannot_be_is_refused() {
    let (_folder, mut place) = beside();
    let mut file = entry("file", Kind::File);
    file.uid = u32::MAX;
    let refused = place.put(&file, &mut io::empty()).unwrap_err();
    assert_eq!(refused.to_string(), "it has an owner that cannot be");
    let root = entry("", Kind::File);
    place.put(&root, &mut io::empty()).unwrap_err();
}
