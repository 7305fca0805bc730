//! What an operator's files may say.

use super::*;

const PEER: &str = "/ip4/127.0.0.1/tcp/1";

#[test]
fn the_page_of_settings_means_the_defaults() {
    let settings = CONFIG_PAGE.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = ") || line.starts_with('['));
    let mut config = Config::parse(&settings.collect::<Vec<_>>().join("\n")).expect("the page parses");
    // The one line that is an example and not a default.
    assert_eq!(config.labels.len(), 1);
    config.labels.clear();
    assert_eq!(config, Config::default());
    for name in ["listen", "announce", "api", "capacity", "anchor"] {
        assert!(CONFIG_PAGE.contains(&format!("\n# {name} = ")), "{name} is missing from the page");
    }
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    assert!(Config::parse("capasity = 3").expect_err("a typing error").reason.contains("capasity"));
}

#[test]
fn the_api_listens_on_loopback_only() {
    assert!(Config::parse("api = \"0.0.0.0:4711\"").expect_err("open to all").reason.contains("loopback"));
    assert!(Config::parse("api = \"[::1]:4711\"").is_ok());
}

#[test]
fn a_bootstrap_address_names_its_station() {
    let text = format!("name = \"n\"\ntopics = [\"t\"]\nbootstrap = [\"{PEER}\"]");
    assert!(NetworkFile::parse(&text).expect_err("nobody in particular").reason.contains("/p2p/"));
}

#[test]
fn a_network_has_topics() {
    assert!(NetworkFile::parse("name = \"n\"\ntopics = []").is_err());
}

#[test]
fn a_label_of_another_type_is_refused_by_its_key_with_what_to_write() {
    for (text, says) in [
        ("[labels]\nregion = \"eu\"", &["line 2", "labels.region to be a list of texts", "region = [\"…\"]"][..]),
        ("[labels]\nregion = 3", &["labels.region", "region = [\"…\"]"]),
        ("[labels]\nregion = [\"eu\", 3]", &["each value of labels.region", "text"]),
        ("labels = [\"eu\"]", &["line 1", "[labels]", "region = [\"eu\"]"]),
        ("[labels]\nregion = [\"EU\"]", &["EU", "a-z"]),
        ("[labels]\nRegion = [\"eu\"]", &["Region", "a-z"]),
    ] {
        let refused = Config::parse(text).expect_err(text).reason;
        assert!(says.iter().all(|part| refused.contains(part)), "{text}: {refused}");
    }
    let good = Config::parse("[labels]\nregion = [\"eu\", \"na\"]").expect("labels");
    assert_eq!(good.labels.values().next().map(Vec::len), Some(2));
}
