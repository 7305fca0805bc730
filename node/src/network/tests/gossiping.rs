//! Calls through the mesh.

use station_protocol::worker::Admission;
use station_protocol::{Signed, call::Call};

use super::super::config::GossipConfig;
use super::super::gossip::{Heard, hear, settings};
use super::super::peer_id::peer_of;
use super::super::{Command, Event};
use super::{Lab, bytes, call, config, name, node};

fn publish(lab: &mut Lab, from: usize, call: &Signed<Call>) {
    lab.stations[from].perform(Command::Publish { topic: name("t"), bytes: bytes(call) });
}

/// Waits for `wanted` at `at`, accepting every Call anywhere meanwhile. Who forwarded it.
async fn heard(lab: &mut Lab, at: usize, wanted: &Signed<Call>) -> station_protocol::NodeId {
    lab.until(|lab, index, event| {
        let Event::Call { call, from, ticket, .. } = event else { return None };
        lab.stations[index].perform(Command::Judge { ticket, admission: Admission::Accept });
        (index == at && *call == *wanted).then_some(from)
    })
    .await
}

#[tokio::test]
async fn a_call_passes_through_a_station_in_the_middle() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"]), config(&["t"])]).await;
    lab.introduce(0, 1).await;
    lab.introduce(1, 2).await;
    let call = call(1, 1);
    publish(&mut lab, 0, &call);
    assert_eq!(heard(&mut lab, 2, &call).await, node(2), "it came from the middle, not from its author");
}

#[tokio::test]
async fn an_ignored_call_is_not_forwarded() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"]), config(&["t"])]).await;
    lab.introduce(0, 1).await;
    lab.introduce(1, 2).await;
    let (ignored, accepted) = (call(1, 1), call(1, 2));
    publish(&mut lab, 0, &ignored);
    publish(&mut lab, 0, &accepted);
    let first = lab
        .until(|lab, index, event| {
            let Event::Call { call, ticket, .. } = event else { return None };
            let admission = if *call == ignored { Admission::Ignore } else { Admission::Accept };
            lab.stations[index].perform(Command::Judge { ticket, admission });
            (index == 2).then_some(call)
        })
        .await;
    assert_eq!(*first, accepted);
}

#[tokio::test]
async fn a_neighbour_that_breaks_signatures_does_not_reduce_delivery_and_is_scored_down() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"]), config(&["t"])]).await;
    let (author, breaker, receiver) = (0, 1, 2);
    lab.introduce(author, receiver).await;
    lab.introduce(breaker, receiver).await;
    for seq in 1..=3 {
        let good = call(1, seq);
        let mut broken = good.clone();
        broken.signature.0[0] ^= 1;
        publish(&mut lab, breaker, &broken);
        // Behind the broken copy on the same connection: when this is here, the copy has been judged.
        let marker = call(2, seq);
        publish(&mut lab, breaker, &marker);
        heard(&mut lab, receiver, &marker).await;
        publish(&mut lab, author, &good);
        assert_eq!(heard(&mut lab, receiver, &good).await, node(1));
    }
    let score = |lab: &Lab, of| lab.stations[receiver].swarm.behaviour().gossip.inner.peer_score(&peer_of(of)).expect("scoring is on");
    assert!(score(&lab, node(2)) <= -500.0, "three invalid messages cost the breaker its gossip, its score is {}", score(&lab, node(2)));
    assert!(score(&lab, node(1)) >= 0.0);
}

#[tokio::test]
async fn subscriptions_outside_the_own_topics_are_not_kept() {
    let mut lab = Lab::new(vec![config(&["t", "other", "third"]), config(&["t"])]).await;
    lab.introduce(0, 1).await;
    let gossip = &lab.stations[1].swarm.behaviour().gossip.inner;
    let topics: Vec<String> = gossip.all_peers().flat_map(|(_, topics)| topics).map(|topic| topic.as_str().to_owned()).collect();
    assert_eq!(topics, ["/station/lab/1/calls/t"]);
}

#[test]
fn no_flipped_bit_leaves_a_call_valid() {
    let whole = bytes(&call(1, 1));
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << (position % 8);
        assert!(!matches!(hear(&flipped, &name("lab"), &name("t"), || true), Heard::Call(_)), "byte {position}");
    }
    assert!(matches!(hear(&whole, &name("lab"), &name("t"), || true), Heard::Call(_)));
}

#[test]
fn a_well_formed_message_of_an_unknown_shape_is_ignored_and_garbage_rejected() {
    let (network, topic) = (name("lab"), name("t"));
    let later = station_protocol::codec::encode(&std::collections::BTreeMap::from([("kind", "call/2")]));
    assert!(matches!(hear(&later, &network, &topic, || true), Heard::Unknown));
    assert!(matches!(hear(&[0xff; 20], &network, &topic, || true), Heard::Invalid(_)));
    assert!(matches!(hear(&bytes(&call(1, 1)), &network, &name("other"), || true), Heard::Invalid(_)), "on a topic that is not its own");
    assert!(matches!(hear(&bytes(&call(1, 1)), &name("elsewhere"), &topic, || true), Heard::Invalid(_)));
}

#[test]
fn what_a_neighbour_may_send_in_a_frame_and_what_waits_for_it_is_bounded() {
    let settings = settings(&GossipConfig::default()).expect("our own");
    assert_eq!(settings.max_transmit_size(), 64 << 10);
    assert_eq!((settings.max_publish_messages(), settings.max_control_message_size()), (12, 4 << 10));
    assert_eq!((settings.max_ihave_messages_heartbeat(), settings.max_control_messages_sent()), (8, 64));
    assert_eq!((settings.connection_handler_queue_len(), settings.prune_peers()), (128, 0));
}
