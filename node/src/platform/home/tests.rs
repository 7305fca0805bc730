//! A station's folder: what a crash leaves, and who may read it.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::new(dir.path().join("station"));
    (dir, home)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_fresh_home_has_a_secret_key_and_the_default_settings() {
    let (_dir, home) = home();
    assert!(matches!(home.key(), Err(HomeError::None { .. })));
    home.init().expect("the folder can be written");
    assert_ne!(home.key().expect("a key"), [0; 32]);
    assert_eq!(mode(&home.path("key")), 0o600);
    assert_eq!(home.config().expect("settings"), Config::default());
    let (policy, default) = (home.policy().expect("a policy"), Policy::default());
    assert_eq!((policy.budget, policy.network, policy.roles), (default.budget, default.network, default.roles));
    assert!(matches!(home.network(), Err(HomeError::NoNetwork { .. })));
}

/// Everything below a folder, with its mode.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { [vec![(path.clone(), mode(&path))], modes(&path)].concat() } else { vec![(path.clone(), mode(&path))] })
        .collect()
}

#[test]
fn nothing_in_a_home_can_be_read_by_others() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    assert_eq!(mode(home.dir()), 0o700, "from the first moment");
    home.new_token().expect("written");
    home.write("api.addr", "127.0.0.1:4711").expect("written");
    // As an older station, or an operator in haste, left it.
    fs::create_dir(home.path("store")).expect("a folder");
    fs::set_permissions(home.path("store"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(home.path("store/records.redb"), "records").expect("written");
    home.private_folder("store").expect("made so again");
    let _ = crate::platform::start::sandbox(&home, None);
    for (path, mode) in modes(home.dir()) {
        let shut = path.strip_prefix(home.dir()).is_ok_and(|inner| inner.components().count() > 1);
        assert!(shut || mode & 0o077 == 0, "{}: {mode:o}", path.display());
    }
    assert_eq!((mode(&home.path("store")), mode(&home.path("engine"))), (0o700, 0o700));
}

#[test]
fn a_key_is_never_written_where_a_link_leads_or_somebody_waits() {
    let (dir, home) = home();
    fs::create_dir(home.dir()).expect("a folder");
    let theirs = dir.path().join("theirs");
    fs::write(&theirs, "theirs").expect("written");
    std::os::unix::fs::symlink(&theirs, home.path(".key.new")).expect("a link");
    // Opened before there is a key, it would show the key later.
    fs::write(home.path(".api.token.new"), "").expect("written");
    let mut open = fs::File::open(home.path(".api.token.new")).expect("open");
    home.init().expect("the folder can be written");
    home.new_token().expect("written");
    assert_eq!(fs::read_to_string(&theirs).expect("readable"), "theirs");
    let mut seen = String::new();
    open.read_to_string(&mut seen).expect("readable");
    assert_eq!((seen.as_str(), mode(&home.path("key"))), ("", 0o600));
}

#[test]
fn a_home_that_others_can_write_into_is_refused_with_what_to_do() {
    let (_dir, home) = home();
    fs::create_dir(home.dir()).expect("a folder");
    fs::set_permissions(home.dir(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    assert!(matches!(home.init(), Err(HomeError::Writable { mode: 0o777, .. })));
    fs::set_permissions(home.dir(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    home.init().expect("whoever made it may let others look");
    fs::set_permissions(home.dir(), fs::Permissions::from_mode(0o770)).expect("it is ours");
    let refused = home.key().expect_err("a group could change the policy");
    assert!(refused.to_string().contains("chmod go-w"), "{refused}");
}

#[test]
fn a_second_init_is_refused_and_keeps_the_key() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    let key = home.key().expect("a key");
    assert!(matches!(home.init(), Err(HomeError::Exists(_))));
    assert_eq!(home.key().expect("the same key"), key);
}

#[test]
fn an_init_that_was_interrupted_anywhere_can_be_run_again() {
    for file in ["station.toml", "policy.toml", "key"] {
        let (_dir, home) = home();
        // A folder where the file is about to be written: the attempt ends exactly there, as a crash would end it.
        let obstacle = home.path(&format!(".{file}.new"));
        fs::create_dir_all(&obstacle).expect("a folder");
        assert!(matches!(home.init(), Err(HomeError::Io { .. })), "{file}");
        assert!(matches!(home.key(), Err(HomeError::None { .. })), "the key comes last, so there is no station yet: {file}");
        fs::remove_dir(&obstacle).expect("an empty folder");
        home.init().expect("it goes on");
        assert!(home.key().is_ok() && home.config().is_ok() && home.policy().is_ok(), "{file}");
    }
}

#[test]
fn an_interrupted_init_that_is_run_again_keeps_edited_settings() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    home.remove("key");
    home.write("station.toml", "capacity = 3\n").expect("the operator edits it");
    home.remove("policy.toml");
    home.init().expect("it goes on");
    assert_eq!(home.config().expect("settings").capacity, 3);
    assert!(home.path("policy.toml").exists());
}

#[test]
fn a_secret_that_others_can_read_is_refused_by_name_and_mode() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    fs::set_permissions(home.path("key"), fs::Permissions::from_mode(0o640)).expect("it is ours");
    let error = home.key().expect_err("the group can read it");
    assert!(matches!(&error, HomeError::Open { mode: 0o640, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_key_of_another_length_is_no_key() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    fs::write(home.path("key"), [1; 31]).expect("it is ours");
    assert!(matches!(home.key(), Err(HomeError::Key(_))));
}

#[test]
fn a_file_that_is_longer_than_any_of_ours_is_refused_and_not_cut() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    // Cut anywhere among its comments it would still say something.
    let long = |says: &str| format!("{says}{}", "#\n".repeat(usize::try_from(FILE_BYTES_MAX).expect("it fits") / 2));
    home.write("station.toml", &long("capacity = 3\n")).expect("written");
    home.write("network.toml", &long("name = \"lab\"\ntopics = [\"t\"]\n")).expect("written");
    home.write("policy.toml", &long("")).expect("written");
    for error in [home.config().expect_err("long"), home.network().expect_err("long"), home.policy().expect_err("long")] {
        assert!(matches!(&error, HomeError::Long { .. }), "{error}");
    }
    home.write("key", &long("")).expect("written");
    assert!(matches!(home.key(), Err(HomeError::Long { .. })), "a secret is not read without end either");
    home.write("station.toml", "capacity = 3\n").expect("written");
    assert_eq!(home.config().expect("settings").capacity, 3);
}

#[test]
fn a_new_token_is_secret_even_where_an_open_file_was_left() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    fs::write(home.path(".api.token.new"), "left by a crash").expect("it is ours");
    fs::set_permissions(home.path(".api.token.new"), fs::Permissions::from_mode(0o644)).expect("it is ours");
    let token = home.new_token().expect("written");
    assert_eq!((token.len(), mode(&home.path("api.token"))), (64, 0o600));
    assert!(!home.path(".api.token.new").exists());
    assert_ne!(home.new_token().expect("written"), token, "each start has its own");
}

#[test]
fn the_api_is_found_only_where_address_and_token_stand() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    assert_eq!(home.api().expect("readable"), None);
    let token = home.new_token().expect("written");
    assert_eq!(home.api().expect("readable"), None, "no address");
    home.write("api.addr", "127.0.0.1:4711\n").expect("written");
    assert_eq!(home.api().expect("readable"), Some((SocketAddr::from(([127, 0, 0, 1], 4711)), token)));
    home.write("api.addr", "nowhere").expect("written");
    assert_eq!(home.api().expect("readable"), None);
    home.remove("api.addr");
    home.remove("api.addr");
    assert_eq!(home.api().expect("readable"), None);
}

#[test]
fn a_file_in_another_encoding_is_named_with_its_line_and_what_to_do() {
    let (_dir, home) = home();
    home.init().expect("the folder can be written");
    for name in ["policy.toml", "station.toml", "network.toml"] {
        fs::write(home.path(name), b"# one\n# caf\xe9\n").expect("written");
        let said = home.text(name).expect_err("Latin-1").to_string();
        assert!([name, "line 2", "Latin-1", "UTF-8", "iconv"].iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn the_page_of_the_policy_shows_every_part_and_means_a_policy() {
    let shown: Vec<&str> =
        POLICY_PAGE.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = ") || line.starts_with('[')).collect();
    let text = shown.join("\n").replace("<node id>", &station_protocol::SigningKey::from_bytes(&[1; 32]).node().to_string());
    let policy = Policy::parse(&text, &bundled_names()).expect("the page parses");
    assert_eq!((policy.budget, policy.roles.relay), (Policy::default().budget, false));
    for part in ["[budget]", "[[allow]]", "per_day", "[[deny]]", "[network]", "[roles]"] {
        assert!(POLICY_PAGE.contains(&format!("# {part}")), "{part} is missing from the page");
    }
}
