//! What effects do to the world: messages with their fates, executions, fetches.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use station_protocol::bounded::Text;
use station_protocol::call::Call;
use station_protocol::durable::Ticket;
use station_protocol::receipt::Outcome;
use station_protocol::requester::{self, Peer};
use station_protocol::work::{REQUEST_TIMEOUT_MS, Request, Response};
use station_protocol::worker::{self, Admission, Execution, FetchFailure, Report, SendFailure, StationFailure, Via};
use station_protocol::{NodeId, PeerAction, Signed, codec};

use crate::blobs;
use crate::station::{Asked, Asker, Conduct};
use crate::world::{Happening, World};

impl World {
    pub(crate) fn perform_worker(&mut self, station: usize, effect: worker::Effect) {
        match effect {
            worker::Effect::Judge { ticket, admission } => self.judged(station, ticket, admission),
            worker::Effect::Send { send, .. } if !self.stations[station].worker.awaits(send) => {}
            worker::Effect::Send { send, to, request, .. } if self.index(&to).is_none() => self.send_to_stranger(station, send, to, &request),
            worker::Effect::Send { send, to, request, .. } => {
                self.model.sends(&self.stations[station], to, &request);
                self.send(station, send, to, request);
            }
            worker::Effect::Answer { ask, response } => self.answer(station, ask, response),
            worker::Effect::Fetch { fetch, requester, .. } => {
                let stranger = self.hostile.as_ref().is_some_and(|hostile| hostile.index(&requester).is_some());
                let there = stranger || self.index(&requester).is_some_and(|requester| self.reaches(station, requester));
                let result = if there && !self.luck.chance(self.weather.fails) { Ok(()) } else { Err(FetchFailure::NotFound) };
                let ms = self.luck.between(1, 500);
                self.after_in(station, ms, Happening::ToWorker(station, worker::Event::Fetched { fetch, result }));
            }
            worker::Effect::Start { execution, job } => self.begin(station, execution, *job),
            worker::Effect::Stop { execution } => {
                if self.stations[station].executions.remove(&execution).is_some() {
                    let event = worker::Event::Finished { execution, report: Err(StationFailure::Stopped) };
                    self.after_in(station, 1, Happening::ToWorker(station, event));
                }
            }
            worker::Effect::Counted { topic, stations } => {
                let stations = self.counted.unwrap_or(stations);
                self.after_in(station, 0, Happening::ToRequester(station, requester::Event::Counted { topic, stations }));
            }
            worker::Effect::Neighbours { peers, .. } => {
                for (node, _) in peers {
                    if let Some(other) = self.index(&node) {
                        self.connect(station, other);
                    }
                }
            }
            // All stations of this world have one clock.
            worker::Effect::PeerTime { .. } => {}
            worker::Effect::Note(note) => {
                if let Some(notes) = &mut self.notes {
                    notes.push((self.now, station, note));
                }
            }
            worker::Effect::Report { node, action } => self.reported(station, node, action),
        }
    }

    pub(crate) fn perform_requester(&mut self, station: usize, effect: requester::Effect) {
        match effect {
            requester::Effect::Published { result, .. } => _ = result.expect("a good draft"),
            requester::Effect::Gossip(call) => {
                self.model.gossips(&self.stations[station], &call);
                self.shadow(station);
                let own = worker::Event::CallHeard { call: call.clone(), via: Via::Own };
                self.after_in(station, 0, Happening::ToWorker(station, own));
                self.stations[station].seen.insert((call.body.id(), call.body.seq));
                self.flood(station, None, &call);
            }
            requester::Effect::Answer { ask, response } => {
                let asker = self.stations[station].askers.get(&ask).map(|asker| self.stations[asker.station].node);
                if let Some(asker) = asker {
                    self.model.answers(&self.stations[station], asker, &response, self.now);
                    if matches!(response, Response::Leases(_)) {
                        self.shadow(station);
                    }
                }
                self.answer(station, ask, response);
            }
            requester::Effect::Fetch { fetch, content, from } => {
                let from = self.index(&from).filter(|from| self.reaches(station, *from) && !self.luck.chance(self.weather.fails));
                let bytes = from.and_then(|from| self.stations[from].blobs.files.get(&content.cid).cloned());
                let result = bytes.ok_or(FetchFailure::NotFound);
                let ms = self.luck.between(1, 2_000);
                self.after_in(station, ms, Happening::ToRequester(station, requester::Event::Fetched { fetch, result }));
            }
            requester::Effect::Report { node, action } => self.reported(station, node, action),
            requester::Effect::Note(note) => self.model.noted(&note),
        }
    }

    fn reaches(&self, a: usize, b: usize) -> bool {
        a == b || (self.stations[b].up && !self.cut.contains(&(a.min(b), a.max(b))))
    }

    fn latency_ms(&mut self) -> u64 {
        if self.luck.chance(self.weather.delayed) { self.luck.between(200, 15_000) } else { self.luck.between(1, 120) }
    }

    /// No station of this world contradicts itself, and its machines never send what no honest machine sends.
    fn reported(&self, by: usize, node: NodeId, action: PeerAction) {
        assert!(action < PeerAction::Invalid || self.index(&node).is_none(), "station {by} says of {node:?}: {action:?}");
    }

    /// A question to somebody that is no station: one of the strangers, or a key that nobody has.
    fn send_to_stranger(&mut self, from: usize, send: Ticket, to: NodeId, request: &Request) {
        let number = self.hostile.as_ref().expect("only stations are asked").index(&to);
        let work = matches!(request, Request::Claim(_) | Request::Deliver(_)).then(|| request.clone());
        let nobody = usize::MAX - number.unwrap_or(usize::MAX / 2);
        self.stations[from].asked.insert(send, Asked { to: nobody, work });
        let answer = match number {
            Some(number) => self.hostile_answer(from, number, request),
            None => Some(Err(SendFailure::Unreachable)),
        };
        let ms = self.luck.between(1, 3_000);
        if let Some(answer) = answer {
            self.after_in(from, ms, Happening::Reply { to: from, send, answer, repeated: false });
        }
        self.after_in(from, REQUEST_TIMEOUT_MS, Happening::Reply { to: from, send, answer: Err(SendFailure::NoAnswer), repeated: false });
    }

    fn send(&mut self, from: usize, send: Ticket, to: NodeId, request: Request) {
        let to = self.index(&to).expect("only stations are asked");
        let work = matches!(request, Request::Claim(_) | Request::Deliver(_)).then(|| request.clone());
        let own = &mut self.stations[from];
        if work.is_some() {
            let copies: Vec<_> = own.asked.values().filter(|asked| asked.to == to && asked.work.is_some()).collect();
            assert!(copies.len() <= 1 && copies.iter().all(|asked| asked.work == work), "two questions in flight between two stations");
        }
        own.asked.insert(send, Asked { to, work });
        let asker = Asker { station: from, life: own.life, send };
        if from == to {
            return self.after_in(from, 0, Happening::Request { from: asker, to, request });
        }
        if !self.reaches(from, to) {
            let ms = self.luck.between(1, 3_000);
            let answer = Err(SendFailure::Unreachable);
            return self.after_in(from, ms, Happening::Reply { to: from, send, answer, repeated: false });
        }
        let unheard = self.weather.lonely && matches!(request, Request::Peers { .. });
        self.connect(from, to);
        self.after_in(from, REQUEST_TIMEOUT_MS, Happening::Reply { to: from, send, answer: Err(SendFailure::NoAnswer), repeated: false });
        if unheard {
            return;
        }
        for copy in 0..2 {
            let fate = if copy == 0 { !self.luck.chance(self.weather.lost) } else { self.luck.chance(self.weather.repeated) };
            if fate {
                let ms = self.latency_ms() * (1 + copy);
                self.after(ms, Happening::Request { from: asker, to, request: request.clone() });
            }
        }
    }

    pub(crate) fn request(&mut self, asker: Asker, to: usize, request: Request) {
        let own = &self.stations[to];
        if own.stalled_until > self.now {
            let ms = own.stalled_until.since(self.now);
            return self.after(ms, Happening::Request { from: asker, to, request });
        }
        let station = asker.station;
        let own_of_another_life = station == to && asker.life != own.life;
        if !own.up || own_of_another_life || !self.reaches(station, to) {
            return;
        }
        let ask = self.ticket();
        let from = Peer { node: self.stations[station].node, cluster: self.stations[station].cluster, is_relayed: false };
        if let Request::Deliver(deliver) = &request {
            self.model.arrives(deliver, self.now);
        }
        self.stations[to].askers.insert(ask, asker);
        match request {
            Request::Calls { .. } | Request::Peers { .. } => self.hand_worker(to, worker::Event::Asked { ask, from: from.node, request }),
            request => self.hand_requester(to, requester::Event::Asked { ask, from, request }),
        }
    }

    fn answer(&mut self, from: usize, ask: Ticket, response: Response) {
        let Some(Asker { station, life, send }) = self.stations[from].askers.remove(&ask) else { return };
        if self.stations[station].life != life {
            return;
        }
        if self.lose_leases_to == Some(station) && matches!(response, Response::Leases(_)) {
            // The asker hears nothing until its time-out, unless the connection breaks with it.
            (self.lose_leases_to, self.lost_at) = (None, Some(self.now));
            if self.loss_breaks {
                self.after_in(station, 0, Happening::Reply { to: station, send, answer: Err(SendFailure::NoAnswer), repeated: false });
            }
            return;
        }
        let lost = from != station && (!self.reaches(station, from) || self.luck.chance(self.weather.lost));
        if lost {
            return;
        }
        let ms = if from == station { 0 } else { self.latency_ms() };
        let answer = Ok(response);
        if self.luck.chance(self.weather.repeated) {
            let again = Happening::Reply { to: station, send, answer: answer.clone(), repeated: true };
            self.after_in(station, 2 * ms, again);
        }
        self.after_in(station, ms, Happening::Reply { to: station, send, answer, repeated: false });
    }

    pub(crate) fn reply(&mut self, to: usize, send: Ticket, answer: Result<Response, SendFailure>, repeated: bool) {
        let expected = self.stations[to].asked.contains_key(&send);
        if expected == repeated {
            // An answer that comes late is dropped by the driver, and one cannot be repeated that never came.
            return;
        }
        let near = self.stations[to]
            .asked
            .get(&send)
            .map(|asked| asked.to)
            .filter(|from| *from != to)
            // Of those who are no honest station nothing is known.
            .and_then(|from| Some(worker::Near { cluster: self.stations.get(from)?.cluster, is_relayed: false }));
        let own = &mut self.stations[to];
        if let Some(Asked { to: from, work: Some(_) }) = own.asked.remove(&send)
            && answer.is_ok()
        {
            // What another copy of an answered question is answered is of no interest.
            for copy in own.asked.values_mut().filter(|asked| asked.to == from) {
                copy.work = None;
            }
        }
        self.hand_worker(to, worker::Event::Answered { send, answer, near });
    }

    /// Gives a Call to the neighbours of `station`, as far as gossip reaches.
    fn flood(&mut self, station: usize, except: Option<usize>, call: &Signed<Call>) {
        for to in 0..self.stations.len() {
            let linked = to != station && self.links.contains(&(station.min(to), station.max(to)));
            if !linked || except == Some(to) || self.luck.chance(self.weather.unheard) {
                continue;
            }
            let ms = self.latency_ms();
            self.after(ms, Happening::Gossip { from: station, to, call: Box::new(call.clone()) });
        }
    }

    pub(crate) fn gossiped(&mut self, from: usize, to: usize, call: Box<Signed<Call>>) {
        if !self.stations[to].seen.insert((call.body.id(), call.body.seq)) {
            return;
        }
        let ticket = self.ticket();
        self.model.judging.insert((to, ticket), (from, (*call).clone()));
        let from = self.stations[from].node;
        self.hand_worker(to, worker::Event::CallHeard { call, via: Via::Gossip { from, near: None, ticket } });
    }

    fn judged(&mut self, station: usize, ticket: Ticket, admission: Admission) {
        let Some((from, call)) = self.model.judging.remove(&(station, ticket)) else { return };
        assert_ne!(admission, Admission::Reject, "an honest Call was rejected");
        if admission == Admission::Accept {
            self.flood(station, Some(from), &call);
        }
    }

    fn begin(&mut self, station: usize, execution: Ticket, job: Execution) {
        let silent = self.stations[station].conduct == Conduct::Silent;
        self.stations[station].executions.insert(execution, job);
        if silent {
            return;
        }
        let ms = if self.luck.chance(self.weather.slow) { self.luck.between(3_000, 60_000) } else { self.luck.between(20, 3_000) };
        // Long ones say how far they are. The luck of all that follows is the same without it.
        if ms > 3_000 {
            self.after_in(station, ms / 2, Happening::Says(station, execution));
        }
        self.after_in(station, ms, Happening::End(station, execution));
    }

    pub(crate) fn says(&mut self, station: usize, execution: Ticket) {
        let saying = worker::Saying { permille: 500, message: Text::cut("half of it") };
        self.hand_worker(station, worker::Event::Said { execution, saying });
    }

    pub(crate) fn end(&mut self, station: usize, execution: Ticket) {
        let Some(job) = self.stations[station].executions.remove(&execution) else { return };
        let failure = if self.luck.chance(500) { StationFailure::Sandbox } else { StationFailure::TargetBusy };
        let report = if self.luck.chance(self.weather.fails) { Err(failure) } else { Ok(self.report(station, &job)) };
        self.hand_worker(station, worker::Event::Finished { execution, report });
    }

    fn report(&mut self, station: usize, job: &Execution) -> Report {
        let liar = self.stations[station].conduct == Conduct::Liar;
        let verdict = if liar { "wrong" } else { "right" };
        let input = Ipld::Bytes(job.input.clone());
        let fields = BTreeMap::from([("verdict".to_owned(), Ipld::String(verdict.to_owned())), ("input".to_owned(), input.clone())]);
        // Some outputs travel as blobs and stand inline at the requester, some are blobs there too, and some are equal to the module.
        let output = match job.index % 4 {
            0 if self.weather.bulky => blobs::large(verdict, Ipld::Null),
            1 if self.weather.bulky => blobs::large(verdict, input),
            2 if self.weather.bulky => {
                let rest = ("rest".to_owned(), Ipld::Bytes(vec![0; 55_000]));
                codec::encode(&Ipld::Map(fields.into_iter().chain([rest]).collect()))
            }
            _ => codec::encode(&Ipld::Map(fields)),
        };
        let timed_out = self.luck.chance(self.weather.fails);
        let (outcome, output) = if timed_out { (Outcome::TimedOut, Vec::new()) } else { (Outcome::Completed, output) };
        let words = if self.weather.bulky && job.index.is_multiple_of(3) { 70_000 } else { 20 };
        let transcript = if job.pure { Vec::new() } else { codec::encode(&"a".repeat(words)) };
        // Some say nothing, some more than travels.
        let log = vec![b'l'; usize::try_from(job.index % 3).unwrap_or(0) * 3_000];
        Report { outcome, output, transcript, log, fuel: if job.pure { 7 } else { self.luck.below(9) }, duration_ms: self.luck.below(3_000) }
    }
}
