//! What one event costs, counted and not timed.

use super::super::executions::Running;
use super::super::work::Work;
use super::*;

const SLOTS: usize = 64;

#[test]
fn an_event_looks_a_few_times_at_what_runs_however_many_calls_are_open() {
    let mut station = Station::new(Config { capacity: SLOTS as u32, ..config() });
    let busy = Lab::new(REQUESTER, "busy");
    station.hear(busy.call(1, station.now));
    for number in 0..1_024_u32 {
        let mut secret = [3; 32];
        secret[..4].copy_from_slice(&number.to_be_bytes());
        let key = SigningKey::from_bytes(&secret);
        let body = Experiment { requester: key.node(), ..experiment(REQUESTER, "open") };
        let lab = Lab { id: body.id(), experiment: key.sign(&name("test"), body), key };
        station.worker.works.insert(lab.id, Work::new(lab.call(1, station.now), true, station.now));
    }
    for number in 0..SLOTS as u64 {
        let (requester, near) = (busy.key.node(), Near::own(busy.key.node()));
        let running = Running::new(busy.id, requester, number, 1 << 20, station.now, near);
        station.worker.executions.insert(Ticket(1_000_000 + number), running);
    }
    let before = station.worker.executions.looked();
    station.handle(Event::Tick);
    let looked = station.worker.executions.looked() - before;
    assert!(looked <= 8 * SLOTS, "{looked} looks at {SLOTS} executions");
}
