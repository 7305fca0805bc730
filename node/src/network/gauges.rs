//! How full the network side of a station is.

use station_protocol::gauge::Gauge;

use super::Network;
use super::config::{ASKS_MAX, FINDS_MAX, JUDGEMENTS_MAX, WAITING_MAX};
use super::standing::PEERS_MAX;

impl Network {
    /// Everything whose bound is a number of its own; connections have libp2p's limits.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        let mut gauges = vec![
            Gauge::new("calls awaiting judgement", self.judgements.len(), JUDGEMENTS_MAX),
            Gauge::new("questions awaiting an answer of ours", self.asks.len(), ASKS_MAX),
            Gauge::new("waiting for a connection", self.dialing.waiting(), WAITING_MAX),
            Gauge::new("searches in the DHT", self.finds.len(), FINDS_MAX),
        ];
        let gate = &self.swarm.behaviour().gate;
        let (inbound, inbound_max) = gate.inbound();
        gauges.push(Gauge::new("connections of those who come", inbound, inbound_max));
        gauges.push(Gauge::new("peers let go", gate.refused(), PEERS_MAX));
        gauges.extend(self.ledger.gauges());
        gauges
    }
}
