//! [`Site`]: one host: what it has, how it behaves, and what it answers.
//!
//! It is a trustless gateway that has one block, because that is what the bundled module checks. Guarantees: an answer depends on the
//! request, the station where the host's conduct says so, and the host's luck. Deliberately lacks time: `server` has it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use cid::Cid;
use station_car::Dag;
use station_protocol::Content;
use station_protocol::experiment::ExperimentId;
use station_protocol::sampling::TARGET_CAP_PER_DAY;

use crate::luck::Luck;
use crate::net::fabric::NodeIndex;
use crate::net::region::Region;
use crate::scenario::Scenario;
use crate::scenario::plan::place;
use crate::scenario::work::{Conduct, Host};

/// Where a host says how much it takes.
const STATION_FILE: &str = "/.well-known/station";
const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";
/// The empty identity CID, which every trustless gateway serves.
const EMPTY: &str = "bafkqaaa";

#[derive(Clone, Debug)]
pub struct Site {
    pub name: String,
    pub ip: IpAddr,
    pub region: Region,
    /// What its file says; without one it has no file.
    pub cap_per_day: Option<u64>,
    /// Until the first byte of an answer.
    pub think: Duration,
    pub conduct: Conduct,
    block: Vec<u8>,
    cid: Cid,
}

/// A request as it stands in its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub is_head: bool,
    /// With the query.
    pub path: String,
    /// Which the User-Agent names.
    pub experiment: Option<ExperimentId>,
}

/// All hosts of `scenario`.
#[must_use]
pub fn sites(scenario: &Scenario) -> Vec<Site> {
    let region = |host: &Host| place(&scenario.network, host.region, &mut Luck::new(scenario.run.seed, "place of a host", host.name.as_str()));
    scenario.internet.hosts.iter().enumerate().map(|(number, host)| Site::new(number, host, region(host))).collect()
}

/// `185.0.0.0` and up, a /24 for each host: no station's, and they look like anybody's.
#[must_use]
pub fn address(host: usize) -> IpAddr {
    let [.., high, low] = u32::try_from(host).unwrap_or(u32::MAX).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(185, high, low, 10))
}

/// `bytes` bytes that are always the same for `name`.
#[must_use]
pub fn body(name: &str, bytes: u64) -> Vec<u8> {
    let mut luck = Luck::new(0, "body", name);
    let words = std::iter::repeat_with(|| luck.draw().to_be_bytes()).flatten();
    words.take(usize::try_from(bytes).unwrap_or(usize::MAX)).collect()
}

impl Request {
    /// Reads the head of a GET or HEAD.
    #[must_use]
    pub fn parse(head: &str) -> Option<Self> {
        let (first, rest) = head.split_once("\r\n")?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let agent = rest.split("\r\n").filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
        let experiment = agent.and_then(|(_, agent)| agent.rsplit_once("; ")?.1.strip_suffix(')')?.parse().ok());
        matches!(method, "GET" | "HEAD").then(|| Self { is_head: method == "HEAD", path: path.to_owned(), experiment })
    }

    /// Whether it asks how much the host takes.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.path == STATION_FILE
    }
}

impl Site {
    /// The host number `place` of a scenario, in `region`.
    #[must_use]
    pub fn new(place: usize, host: &Host, region: Region) -> Self {
        let block = body(host.name.as_str(), host.body.0);
        Self {
            name: host.name.to_string(),
            ip: address(place),
            region,
            cap_per_day: host.cap_per_day,
            think: Duration::from_millis(host.think.0),
            conduct: host.conduct.clone(),
            cid: Content::raw(&block).cid,
            block,
        }
    }

    /// The CID of its one block.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.cid
    }

    /// Requests a day that it gets at most: a host can lower what everybody takes for granted, not raise it.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.cap_per_day.map_or(TARGET_CAP_PER_DAY, |cap| cap.min(TARGET_CAP_PER_DAY))
    }

    /// The whole answer to `request` of the station `from`.
    #[must_use]
    pub fn answer(&self, request: &Request, from: NodeIndex, luck: &mut Luck) -> Vec<u8> {
        let (status, kind, body) = self.content(request, from, luck);
        let mut answer = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        if !request.is_head {
            answer.extend(body);
        }
        answer
    }

    fn content(&self, request: &Request, from: NodeIndex, luck: &mut Luck) -> (&'static str, &'static str, Vec<u8>) {
        const NONE: (&str, &str, Vec<u8>) = ("404 Not Found", "text/plain", Vec::new());
        if request.is_reading() {
            return self.cap_per_day.map_or(NONE, |cap| ("200 OK", "text/plain", format!("cap = {cap}\n").into_bytes()));
        }
        if let Conduct::Errors { share } = self.conduct
            && luck.happens(share.get())
        {
            return ("500 Internal Server Error", "text/plain", Vec::new());
        }
        let Some((cid, query)) = request.path.strip_prefix("/ipfs/").and_then(|rest| rest.split_once('?')) else { return NONE };
        match query.split('&').find_map(|pair| pair.strip_prefix("format=")) {
            Some("raw") if cid == EMPTY => ("200 OK", RAW, Vec::new()),
            Some("raw") if cid == self.cid.to_string() => ("200 OK", RAW, self.block(from)),
            Some("car") if cid == self.cid.to_string() => ("200 OK", CAR, self.car(from)),
            _ => NONE,
        }
    }

    /// The block, or what this host takes for it at the station `from`.
    fn block(&self, from: NodeIndex) -> Vec<u8> {
        let mut body = self.block.clone();
        if matches!(self.conduct, Conduct::Varies {}) {
            body.extend(from.to_be_bytes());
        }
        body
    }

    fn car(&self, from: NodeIndex) -> Vec<u8> {
        let block = self.block(from);
        let root = Content::raw(&block).cid;
        station_car::car(&Dag { root, blocks: vec![(root, block)] }).ok().flatten().unwrap_or_default()
    }
}
