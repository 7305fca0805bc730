//! What a station hears of its operator's files, look by look.

use std::cell::RefCell;

use super::*;
use crate::api::tests::{Served, served};
use crate::on_disk::FileStanding;

const TWO_CORES: &str = "[budget]\ncpu = \"2 cores\"\n";
const THREE_CORES: &str = "[budget]\ncpu = \"3 cores\"\n";

/// A station, its home with the files that it was started with, and who watches them.
struct Lab {
    served: Served,
    home: Home,
    watch: Watch,
    said: RefCell<Vec<String>>,
    _dir: tempfile::TempDir,
}

impl Lab {
    async fn new() -> Self {
        let (served, dir) = (served().await, tempfile::tempdir().expect("a temporary folder"));
        let home = Home::new(dir.path().to_owned());
        let (identity, at_start) = (served.handle.identity(), served.handle.host().policy());
        home.write("policy.toml", at_start.source()).expect("written");
        home.write("network.toml", &toml::to_string(&identity.network_file).expect("TOML")).expect("written");
        home.write("station.toml", &toml::to_string(&identity.config).expect("TOML")).expect("written");
        let watch = Watch { seen: None, judged: None };
        Self { served, home, watch, said: RefCell::default(), _dir: dir }
    }

    fn write(&self, policy: &str) {
        self.home.write("policy.toml", policy).expect("written");
    }

    /// What is said in one look.
    async fn look(&mut self) -> Vec<String> {
        let (handle, said) = (&self.served.handle, &self.said);
        self.watch.look(&self.home, handle, &|sentence| said.borrow_mut().push(sentence)).await.expect("the station runs");
        // The queue is in order: what it was told is in force when it answers.
        handle.status().await.expect("it runs");
        self.said.take()
    }

    /// Two equal looks, of which the first says nothing.
    async fn looks(&mut self) -> Vec<String> {
        assert_eq!(self.look().await, Vec::<String>::new());
        self.look().await
    }

    async fn set(&self, policy: &str) {
        let policy = Policy::parse(policy, &bundled_names()).expect("a policy");
        self.served.handle.set_policy(policy).await.expect("it runs");
        self.served.handle.status().await.expect("it runs");
    }

    fn in_force(&self) -> String {
        self.served.handle.host().policy().source().to_owned()
    }

    fn standing(&self) -> FileStanding {
        let handle = &self.served.handle;
        handle.files().files(&handle.host().policy())[0].1.clone()
    }
}

#[tokio::test]
async fn a_changed_policy_is_in_force_once_it_reads_the_same_in_two_looks() {
    let mut lab = Lab::new().await;
    let at_start = lab.in_force();
    assert_eq!(lab.looks().await, Vec::<String>::new(), "as it was at the start");
    lab.write("[budget]\n");
    assert_eq!(lab.look().await, Vec::<String>::new());
    lab.write(TWO_CORES);
    assert_eq!(lab.look().await, Vec::<String>::new(), "half of it was there before");
    assert_eq!(lab.in_force(), at_start);
    assert_eq!(lab.look().await, ["policy.toml was changed: what it says is in force now"]);
    assert_eq!((lab.in_force().as_str(), lab.standing()), (TWO_CORES, FileStanding::InForce));
    assert_eq!(lab.looks().await, Vec::<String>::new(), "once");
}

#[tokio::test]
async fn a_policy_that_a_command_wrote_and_told_the_station_is_not_told_again_at_the_first_look() {
    let mut lab = Lab::new().await;
    lab.write(TWO_CORES);
    lab.set(TWO_CORES).await;
    assert_eq!(lab.looks().await, Vec::<String>::new());
    lab.write(THREE_CORES);
    lab.set(THREE_CORES).await;
    assert_eq!(lab.looks().await, ["policy.toml was changed: what it says is in force now"], "later its operator hears of each change");
    assert_eq!((lab.in_force().as_str(), lab.standing()), (THREE_CORES, FileStanding::InForce));
}

#[tokio::test]
async fn a_policy_that_came_over_the_api_stays_in_force_until_the_file_is_changed() {
    let mut lab = Lab::new().await;
    lab.write(TWO_CORES);
    lab.looks().await;
    lab.set(THREE_CORES).await;
    assert_eq!(lab.looks().await, Vec::<String>::new());
    assert_eq!((lab.in_force().as_str(), lab.standing()), (THREE_CORES, FileStanding::Replaced));
    lab.write(&format!("{TWO_CORES}# once more\n"));
    assert_eq!(lab.looks().await.len(), 1);
    assert_eq!((lab.in_force(), lab.standing()), (format!("{TWO_CORES}# once more\n"), FileStanding::InForce));
}

#[tokio::test]
async fn a_spoilt_policy_changes_nothing_and_is_told_once_and_what_waits_for_a_restart_is_told() {
    let mut lab = Lab::new().await;
    lab.write(TWO_CORES);
    lab.looks().await;
    lab.write("[budgte]\n");
    let said = lab.looks().await;
    assert!(said.len() == 1 && said[0].contains("policy.toml cannot be used") && said[0].contains("budgte"), "{said:?}");
    assert_eq!(lab.in_force(), TWO_CORES);
    assert!(matches!(lab.standing(), FileStanding::Spoilt { .. }));
    assert_eq!(lab.looks().await, Vec::<String>::new());
    lab.home.write("station.toml", "capacity = 7\n").expect("written");
    let said = lab.looks().await;
    assert!(said.len() == 1 && said[0].contains("station.toml was changed") && said[0].contains("capacity"), "{said:?}");
}
