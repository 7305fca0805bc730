//! Hash fractions: who is sampled for an experiment, and the network-wide cap per target.
//!
//! Guarantees: pure arithmetic over sha2-256; products saturate; `u64::MAX` is everybody. A sample goes by clusters: keys cost nothing
//! and can be searched for within a Call's life, addresses have to be had, and the requester sees them. Deliberately by the key alone is
//! who may contact a target: that caps what all stations together do, and whoever means harm asks no leave.

use std::net::IpAddr;

use crate::census::SAMPLE_MAX;
use crate::cluster::Cluster;
use crate::codec;
use crate::content::sha256;
use crate::experiment::ExperimentId;
use crate::identity::NodeId;
use crate::mutants::{Mutant, is_planted};
use crate::time::CountedDay;

/// `be64(sha256(label ‖ 0 ‖ parts…))`: a fraction of 2⁶⁴.
#[must_use]
pub fn fraction(label: &str, parts: &[&[u8]]) -> u64 {
    let mut all: Vec<&[u8]> = vec![label.as_bytes(), &[0]];
    all.extend_from_slice(parts);
    let hash = sha256(&all);
    u64::from_be_bytes(hash[..8].try_into().expect("a sha2-256 digest has 32 bytes"))
}

/// Whether stations that the requester sees in `cluster` may claim `experiment` under `claim_below`, once they are connected directly.
#[must_use]
pub fn is_sampled(experiment: &ExperimentId, cluster: &Cluster, claim_below: u64) -> bool {
    claim_below == u64::MAX || fraction("station/claim/1", &[&experiment.to_bytes(), &codec::encode(cluster)]) <= claim_below
}

/// What a sample goes by for `node`, which is seen in `cluster`: the cluster, unless the planted bug is to be found.
#[must_use]
pub fn sampled_by(node: NodeId, cluster: Cluster) -> Cluster {
    if is_planted(Mutant::SampledByKey) { Cluster::Own(node) } else { cluster }
}

/// `numerator / denominator` as a fraction of 2⁶⁴, at most all.
#[must_use]
pub fn ratio(numerator: u64, denominator: u64) -> u64 {
    let fraction = (u128::from(numerator) << 64).checked_div(u128::from(denominator));
    fraction.and_then(|fraction| u64::try_from(fraction).ok()).unwrap_or(u64::MAX)
}

/// How many of `count` an even fraction `below` of 2⁶⁴ is, rounded up.
#[must_use]
pub fn share(below: u64, count: u64) -> u64 {
    if below == u64::MAX {
        return count;
    }
    u64::try_from((u128::from(below) * u128::from(count)).div_ceil(1 << 64)).unwrap_or(u64::MAX)
}

/// Whom a request to `host` (a name, or an address without brackets) asks: its registrable domain, or the address's /24 or /48.
#[must_use]
pub fn target_of_host(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        Err(_) => psl::domain_str(host).unwrap_or(host).to_owned(),
    }
}

/// The same for what an input says its target is: a URL, a host, or a host and a port.
#[must_use]
pub fn target_of(text: &str) -> String {
    let after = text.split_once("://").map_or(text, |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, _)) => literal,
        None => host.rsplit_once(':').map_or(host, |(name, port)| if name.contains(':') || !is_number(port) { host } else { name }),
    };
    target_of_host(&host.trim_end_matches('.').to_ascii_lowercase())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Requests a day that the whole network may send to one target unless the target says less.
pub const TARGET_CAP_PER_DAY: u64 = 86_400;
/// Requests a day that one station sends to one target unless its policy says otherwise.
pub const TARGET_QUOTA_PER_DAY: u64 = 100;

/// Stations that may contact one target on one day: at the default quota they are the default cap. Each of them reads the target's
/// `/.well-known/station` first, and those readings come out of the cap too.
pub const TARGET_STATIONS_MAX: u64 = TARGET_CAP_PER_DAY / TARGET_QUOTA_PER_DAY;
/// The least that a station is let in for: two jobs of four requests. A share that no job fits into would be requests for nothing.
pub const TARGET_SHARE_MIN: u64 = 8;
/// Tolerated beyond a cap: a fifth. Luck of the draw uses it up once in some ten thousand days.
const CAP_TOLERANCE: (u128, u128) = (6, 5);
/// Where a count is an estimate it is right within 6 %; the cap is divided among an eighth more.
const COUNT_MARGIN: u64 = 8;

/// Whether `node` may ask `target` (a registrable domain, or the /24 or /48 of a literal) on UTC `day` how much it takes, in a
/// network counted as `stations`. Only those that may can be let in by [`target_share`].
#[must_use]
pub fn may_read(target: &str, day: u64, node: &NodeId, stations: u64) -> bool {
    is_among(target, day, node, ratio(TARGET_STATIONS_MAX, counted(stations)))
}

/// Requests that `node` may send to `target` on UTC `day` beside the reading, when the target takes `cap` from the whole network and
/// the operator lets it have `quota`. Zero: it is not among those who may contact it.
///
/// What the readings leave of the cap is divided evenly among those who read, in whole requests; where that were less than
/// [`TARGET_SHARE_MIN`] for each, so many fewer are let in, drawn by the same fraction, that their number's luck stays within the
/// tolerance.
#[must_use]
pub fn target_share(target: &str, day: u64, node: &NodeId, cap: u64, stations: u64, quota: u64) -> u64 {
    let stations = counted(stations);
    let readers = stations.min(TARGET_STATIONS_MAX);
    let left = cap.min(TARGET_CAP_PER_DAY).saturating_sub(readers);
    let share = (left / readers).max(TARGET_SHARE_MIN).min(quota);
    let full = readers.saturating_mul(share) <= left;
    let below = if full { ratio(readers, stations) } else { scaled_ratio(let_in(left, share), stations).min(ratio(readers, stations)) };
    if share > 0 && is_among(target, day, node, below) { share } else { 0 }
}

/// Names that may honestly stand behind one /24 or /48 and be measured on one day: a content network has many there, and each has a cap
/// of its own. Whoever lets any number of names point at a victim sends it this many times what one name gets.
pub const NETWORK_NAMES_MAX: u64 = 8;
/// Requests a day that the whole network sends to one /24 or /48, by whatever names.
pub const NETWORK_CAP_PER_DAY: u64 = NETWORK_NAMES_MAX * TARGET_CAP_PER_DAY;
/// Stations that may contact one /24 or /48 on one day.
pub const NETWORK_STATIONS_MAX: u64 = NETWORK_NAMES_MAX * TARGET_STATIONS_MAX;

/// Requests, readings among them, that `node` may send to addresses in `network` (a /24 or /48) on UTC `day`, beside what the names allow,
/// where the operator lets a name have `quota`. It is drawn as a target is, so that who may contact an address by itself may do so here.
#[must_use]
pub fn network_share(network: &str, day: u64, node: &NodeId, stations: u64, quota: u64) -> u64 {
    let stations = counted(stations);
    if !is_among(network, day, node, ratio(NETWORK_STATIONS_MAX, stations)) {
        return 0;
    }
    (NETWORK_CAP_PER_DAY / stations.min(NETWORK_STATIONS_MAX)).min(quota.saturating_mul(NETWORK_NAMES_MAX))
}

fn is_among(target: &str, day: u64, node: &NodeId, below: u64) -> bool {
    below == u64::MAX || fraction("target", &[target.as_bytes(), &[0], &day.to_be_bytes(), &node.0]) < below
}

/// A count by which a cap is divided: never less than there are, but for one in forty counts of a large topic.
fn counted(stations: u64) -> u64 {
    let stations = stations.max(1);
    let margin = if stations < SAMPLE_MAX as u64 { 0 } else { stations / COUNT_MARGIN };
    stations.saturating_add(margin)
}

/// Fractional digits of [`let_in`].
const SCALE_BITS: u32 = 16;

/// How many stations with `share` requests each may be let in on average, times 2^[`SCALE_BITS`], so that four standard deviations
/// more still stay within the tolerance of `left`: the n with n + 4√n = K, which is K + 8 − 4√(K + 4).
fn let_in(left: u64, share: u64) -> u128 {
    let one = 1 << SCALE_BITS;
    let most = u128::from(left) * CAP_TOLERANCE.0 * one / (CAP_TOLERANCE.1 * u128::from(share.max(1)));
    (most + 8 * one).saturating_sub(4 * ((most + 4 * one) * one).isqrt())
}

fn scaled_ratio(scaled: u128, denominator: u64) -> u64 {
    u64::try_from((scaled << (64 - SCALE_BITS)) / u128::from(denominator.max(1))).unwrap_or(u64::MAX)
}

/// The largest count of a UTC day and of the one before. A count falls for a while when the sample is ordered anew at midnight, and
/// when a station is cut off: dividing a cap by it then would let everybody in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LargestCount {
    day: CountedDay,
    today: u64,
    before: u64,
}

impl LargestCount {
    /// `stations` are counted on `day`.
    pub fn note(&mut self, stations: u64, day: u64) {
        let last = self.day.day();
        if self.day.turn(day) {
            self.before = if day == last.saturating_add(1) { self.today } else { 0 };
            self.today = 0;
        }
        self.today = self.today.max(stations);
    }

    /// At least 1.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.today.max(self.before).max(1)
    }
}

#[cfg(test)]
mod tests;
