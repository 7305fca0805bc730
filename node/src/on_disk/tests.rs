use super::*;
use crate::library::bundled_names;

fn policy(text: &str) -> Policy {
    Policy::parse(text, &bundled_names()).expect("a policy")
}

fn says(on_disk: &OnDisk, policy: &Policy) -> Vec<String> {
    on_disk.files(policy).iter().filter_map(|(file, standing)| sentence(file, standing, &Spelling::of("/else".to_owned()))).collect()
}

#[test]
fn a_policy_of_which_all_is_in_force_says_nothing() {
    let start = policy("# mine\n");
    let mut on_disk = OnDisk::in_force(&start);
    assert_eq!(says(&on_disk, &start), Vec::<String>::new());
    let changed = policy("[budget]\nmemory = \"1GiB\"\n");
    on_disk.read_policy(Ok(&changed));
    assert_eq!(says(&on_disk, &changed), Vec::<String>::new(), "it came into force by itself");
}

#[test]
fn a_spoilt_policy_leaves_the_one_before_it_in_force() {
    let start = policy("");
    let mut on_disk = OnDisk::in_force(&start);
    on_disk.read_policy(Err("line 1, no such key"));
    let said = says(&on_disk, &start);
    assert!(said.len() == 1 && said[0].contains("stays in force") && said[0].contains("line 1"), "{said:?}");
    on_disk.read_policy(Ok(&start));
    assert_eq!(says(&on_disk, &start), Vec::<String>::new());
}

#[test]
fn roles_wait_for_a_restart_and_a_policy_over_the_api_is_told() {
    let start = policy("");
    let mut on_disk = OnDisk::in_force(&start);
    let relay = policy("[roles]\nrelay = true\n");
    on_disk.read_policy(Ok(&relay));
    let said = says(&on_disk, &relay);
    assert!(said.len() == 1 && said[0].contains("roles.relay") && said[0].contains("station run --home /else"), "{said:?}");
    on_disk.read_policy(Ok(&start));
    let said = says(&on_disk, &relay);
    assert!(said.len() == 1 && said[0].contains("station policy reload --home /else"), "{said:?}");
    on_disk.read_policy(Ok(&relay));
    assert!(!says(&on_disk, &relay)[0].contains("over the API"), "a command that edits the file says what stands in it");
}

#[test]
fn settings_and_network_name_the_keys_that_wait_and_comments_are_no_change() {
    let start = policy("");
    let mut on_disk = OnDisk::in_force(&start);
    let config = Config::default();
    on_disk.read_settings(Ok(&Config::parse("# only a comment\n").expect("settings")), &config);
    assert_eq!(on_disk.settings, FileStanding::InForce);
    on_disk.read_settings(Ok(&Config::parse("capacity = 3\ndisk = \"9GiB\"\n").expect("settings")), &config);
    assert_eq!(on_disk.settings, FileStanding::Waits { settings: vec!["capacity".to_owned(), "disk".to_owned()] });
    let network = NetworkFile::parse("name = \"lab\"\ntopics = [\"a\"]\n").expect("a network");
    on_disk.read_network(Ok(&NetworkFile::parse("name = \"lab\"\ntopics = [\"a\", \"b\"]\n").expect("a network")), &network);
    assert_eq!(on_disk.network, FileStanding::Waits { settings: vec!["topics".to_owned()] });
    on_disk.read_network(Err("gone".to_owned()), &network);
    let said = says(&on_disk, &start);
    assert!(said.iter().any(|line| line.contains("network.toml cannot be used") && line.contains("gone")), "{said:?}");
}
