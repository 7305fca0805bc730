//! What a peer pays for below all protocols, whatever the connection is.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use station_protocol::accounts::Charge;
use station_protocol::bounded::List;
use station_protocol::durable::Ticket;
use station_protocol::work::{At, Request, Response};

use super::super::{Command, Event};
use super::flooding::figure;
use super::{Lab, config, loopback, name, node, transport};

/// Asks station 1 for peers, at `at`.
fn ask(lab: &mut Lab, at: &At) {
    let request = Request::Peers { topic: name("t"), have: List::default() };
    lab.stations[0].perform(Command::Send { send: Ticket(1), to: node(2), at: at.clone(), request });
}

/// Two stations that listen on TCP and QUIC, and where the second is by this protocol.
async fn two(over: &str) -> (Lab, At) {
    let mut lab = Lab::new(Vec::new()).await;
    for _ in 0..2 {
        let quic = Multiaddr::from(std::net::Ipv4Addr::LOCALHOST).with(Protocol::Udp(0)).with(Protocol::QuicV1);
        let both = super::NetworkConfig { listen: vec![quic, loopback()], ..config(&["t"]) };
        lab.add_over(both, |key| transport::build(key).expect("a transport")).await;
    }
    loop {
        if let Some(at) = lab.at[1].iter().find(|address| address.to_string().contains(over)) {
            let at = List::first([at.clone()]);
            return (lab, at);
        }
        lab.step().await;
    }
}

#[tokio::test]
async fn whoever_opens_streams_above_its_share_is_let_go_over_tcp_and_over_quic() {
    for over in ["/tcp/", "/quic-v1/"] {
        let (mut lab, at) = two(over).await;
        let (ledger, burst) = (lab.stations[1].ledger().clone(), Charge::Streams.payer().burst);
        // What it may, and what it may be refused.
        ledger.owe(node(1), Charge::Streams, 2 * burst);
        assert!(ledger.charge(node(1), Charge::Streams, burst).is_err());
        ask(&mut lab, &at);
        lab.until(|lab, index, event| match event {
            Event::Misbehaved { node: who, .. } if index == 1 && who == node(1) => Some(()),
            Event::Asked { ask, .. } => {
                lab.stations[index].perform(Command::Answer { ask, response: Response::Unserved });
                None
            }
            Event::Answered { .. } => {
                // However slow this machine is, nothing of it was forgiven meanwhile.
                ledger.owe(node(1), Charge::Streams, 2 * burst);
                ask(lab, &at);
                None
            }
            _ => None,
        })
        .await;
        assert!(figure(&lab.stations[1], Charge::Streams).let_go > 0, "{over}");
        assert_eq!(lab.stations[1].swarm.behaviour().gate.refused(), 1, "and does not come back");
    }
}
