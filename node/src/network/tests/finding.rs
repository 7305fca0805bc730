//! Finding peers and content through a DHT server that takes no part in the topic.

use station_protocol::content::{RAW, cid_of};
use station_protocol::durable::Ticket;

use super::super::peer_id::peer_of;
use super::super::{Command, Event, NetworkConfig};
use super::{Lab, config, dht_server, name, node};

/// A DHT server, and two stations that know only it.
async fn strangers() -> Lab {
    let mut lab = Lab::new(vec![dht_server()]).await;
    let bootstrap = vec![lab.at[0][0].to_string().parse().expect("a multiaddr")];
    for _ in 0..2 {
        lab.add(NetworkConfig { bootstrap: bootstrap.clone(), ..config(&["t"]) }).await;
    }
    lab
}

#[tokio::test]
async fn two_strangers_in_a_topic_meet_through_a_dht_server() {
    let mut lab = strangers().await;
    let (mut there, mut back) = (false, false);
    lab.until(|_, index, event| {
        if let Event::Connected { node: met, topics } = event {
            assert!(topics.iter().all(|topic| topic.as_str() == "t"));
            there |= index == 1 && met == node(3);
            back |= index == 2 && met == node(2);
        }
        (there && back).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stranger_that_dials_a_station_does_not_stand_for_its_bootstrap_nodes() {
    // Nobody listens there, as before a bootstrap node is up.
    let closed = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", peer_of(node(9))).parse().expect("a multiaddr");
    let mut lab = Lab::new(vec![config(&["t"]), NetworkConfig { bootstrap: vec![closed], ..config(&["t"]) }]).await;
    lab.introduce(0, 1).await;
    assert!(lab.stations[1].bootstrap.next().is_some(), "it goes on dialling them");
}

#[tokio::test]
async fn a_bootstrap_node_that_is_reached_is_not_dialled_again() {
    let mut lab = strangers().await;
    lab.until(|lab, _, _| lab.stations[1].bootstrap.next().is_none().then_some(())).await;
}

#[tokio::test]
async fn a_bootstrap_node_that_is_there_is_not_dialled_when_a_guest_leaves() {
    let mut lab = strangers().await;
    lab.until(|lab, _, _| lab.stations[1].bootstrap.next().is_none().then_some(())).await;
    let dialled = lab.stations[1].swarm.network_info().connection_counters().num_pending_outgoing();
    lab.stations[1].dial_bootstrap();
    assert_eq!(lab.stations[1].swarm.network_info().connection_counters().num_pending_outgoing(), dialled);
}

#[tokio::test]
async fn a_good_bootstrap_node_is_enough_although_another_is_of_a_foreign_network() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let good = lab.at[0][0].to_string().parse().expect("a multiaddr");
    let foreign = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", peer_of(node(3))).parse().expect("a multiaddr");
    lab.add(NetworkConfig { bootstrap: vec![good, foreign], ..config(&["t"]) }).await;
    lab.until(|lab, _, _| lab.stations[1].bootstraps()[0].identified.then_some(())).await;
    assert!(lab.stations[1].bootstrap.next().is_none(), "one is connected");
    let other = lab.add(NetworkConfig { network: name("other"), ..config(&["t"]) }).await;
    let (own, at) = (lab.stations[1].own(), lab.at[1].clone());
    lab.stations[other].perform(Command::Neighbours { topic: name("t"), peers: vec![(own, at)] });
    lab.until(|lab, _, _| lab.stations[1].knocks.is_foreign(node(3)).then_some(())).await;
    assert!(lab.stations[1].bootstrap.next().is_none(), "it dials nobody again");
    assert!(lab.stations[1].has_bootstrap());
}

#[tokio::test]
async fn who_does_not_use_the_dht_remembers_no_server_of_it() {
    let mut lab = Lab::new(vec![dht_server()]).await;
    let bootstrap = vec![lab.at[0][0].to_string().parse().expect("a multiaddr")];
    for use_dht in [true, false] {
        let index = lab.add(NetworkConfig { bootstrap: bootstrap.clone(), use_dht, ..config(&[]) }).await;
        lab.until(|lab, _, _| lab.stations[index].bootstraps()[0].identified.then_some(())).await;
        assert_eq!(lab.stations[index].servers(), usize::from(use_dht));
    }
}

#[tokio::test]
async fn content_is_found_at_the_station_that_provides_it() {
    let mut lab = strangers().await;
    let cid = cid_of(RAW, b"a module");
    let mut asked = 0;
    let providers = lab
        .until(|lab, index, event| match event {
            // Once the two met, the server is in both tables.
            Event::Connected { .. } if asked == 0 => {
                asked += 1;
                lab.stations[1].perform(Command::Provide { cid });
                lab.stations[2].perform(Command::FindProviders { find: Ticket(asked), cid });
                None
            }
            Event::Providers { find, providers } => {
                assert_eq!((index, find), (2, Ticket(asked)));
                if providers.is_empty() {
                    asked += 1;
                    lab.stations[2].perform(Command::FindProviders { find: Ticket(asked), cid });
                }
                (!providers.is_empty()).then_some(providers)
            }
            _ => None,
        })
        .await;
    assert_eq!(providers.len(), 1);
    assert_eq!(providers[0].0, node(2));
    assert!(!providers[0].1.is_empty(), "with an address");
}

#[tokio::test]
async fn content_that_nobody_provides_is_not_found() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    lab.stations[0].perform(Command::FindProviders { find: Ticket(1), cid: cid_of(RAW, b"nothing") });
    let providers = lab.until(|_, _, event| if let Event::Providers { providers, .. } = event { Some(providers) } else { None }).await;
    assert!(providers.is_empty());
}

#[tokio::test]
async fn a_station_that_is_no_dht_server_keeps_nothing_for_others() {
    let mut lab = strangers().await;
    lab.until(|_, _, event| matches!(event, Event::Connected { .. }).then_some(())).await;
    let mut kept = |station: usize| lab.stations[station].swarm.behaviour_mut().kad.inner.store_mut().len();
    assert!(kept(0) > 0, "the server keeps who is in the topic");
    assert_eq!((kept(1), kept(2)), (0, 0));
}
