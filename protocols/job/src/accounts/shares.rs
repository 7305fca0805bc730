//! What may be charged, and how much of it whom: the one table of the budgets of strangers.
//!
//! Guarantees: of each kind a payer's share is at most its cluster's, and a cluster's at most a quarter of what all strangers have, so
//! that no single network can shut the door to others. Deliberately lacks shares that an operator could set.

/// A budget: how much at once after a quiet time, and how fast it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub burst: u64,
    pub per_minute: u64,
}

impl Share {
    pub(super) const fn times(self, times: u64) -> Self {
        Self { burst: self.burst * times, per_minute: self.per_minute * times }
    }
}

/// Payers remembered by name: above all places for connections of a bootstrap node, several times over. About 1 KiB each at most.
pub const PAYERS_MAX: usize = 4_096;
/// Of them strangers: the others keep room for those that work is done with, however many keys come.
pub const STRANGERS_MAX: usize = PAYERS_MAX / 4 * 3;
/// Of one cluster: far above the connections it can have. Its others pay together, so that a /24 full of keys cannot fill the table.
pub const CLUSTER_PAYERS_MAX: usize = 64;
/// Clusters remembered: those of all connections of a bootstrap node, twice.
pub const CLUSTERS_MAX: usize = 1_024;
/// Shares of a peer with a history of work that was held: such a history costs work, and a relation is worth more than a key.
pub const KNOWN_TIMES: u64 = 4;
/// Shares of a bootstrap node, which the operator named and everybody's messages come through.
pub const BOOTSTRAP_TIMES: u64 = 8;
/// Shares of a private address where the network allows them: twenty stations of a bench or a class room are behind one.
pub const SHARED_HOST_TIMES: u64 = 16;
/// What all that are no strangers have together, in shares of all strangers: they are those that work is done with.
pub const ACQUAINTED_TIMES: u64 = 2;

/// Units of a message that is not accepted.
pub const MESSAGE: u64 = 64;
/// Calls of unknown authors that a station takes in one topic, a second. Each has 4 KiB at most and goes to some eight neighbours: 0.8 Mbit/s
/// at worst. A table of 1,024 is full after six minutes of that; the Calls that end first go then.
pub const UNKNOWN_CALLS_PER_SECOND: u64 = 3;

/// Units of a Call that is rightly signed, and over the quotas of a station in so many topics. Its forwarder did no wrong: it took the Call
/// within its own quota, which is [`UNKNOWN_CALLS_PER_SECOND`] in each topic, and a stranger may tell each neighbour others. So the more
/// topics there are, the less one costs, and nobody can turn neighbours against each other.
#[must_use]
pub const fn over_quota(topics: usize) -> u64 {
    let topics = if topics == 0 { 1 } else { topics as u64 };
    let cost = Charge::NotAccepted.payer().per_minute / 60 / (UNKNOWN_CALLS_PER_SECOND * topics);
    if cost == 0 {
        1
    } else if cost > MESSAGE {
        MESSAGE
    } else {
        cost
    }
}

/// What a stranger's word or key makes this station do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Charge {
    /// Signatures verified. One takes about 50 µs.
    Signatures,
    /// Messages on gossip, copies of them too, and control messages.
    Gossip,
    /// Messages on gossip that were not accepted, whatever the reason: [`MESSAGE`] units each, or what [`over_quota`] says.
    NotAccepted,
    /// Calls told in an answer. On gossip they are messages.
    Calls,
    /// Peer records told in an answer.
    Records,
    /// Requests of any protocol: `work`, each 16 KiB of a larger one too, `car`, the DHT, identify and pings.
    Questions,
    /// Addresses dialled on somebody's word, which he pays for.
    Dials,
    /// The same dials, paid by the machine that is dialled.
    Knocks,
    /// Bytes of content written.
    BytesServed,
    /// Milliseconds of compiling a module.
    CompileMs,
    /// Streams that others open, whatever is said on them: negotiation costs before there is a question.
    Streams,
    /// Small frames of a multiplexer, which belong to no question: pings, windows, ends of streams and trickles of data.
    Frames,
    /// Connections established.
    Connections,
    /// Handshakes begun.
    Handshakes,
    /// Handshakes begun over QUIC, where the address is not proved yet.
    Unproved,
}

/// All kinds, in the order in which they are shown.
pub const CHARGES: [Charge; 15] = [
    Charge::Signatures,
    Charge::Gossip,
    Charge::NotAccepted,
    Charge::Calls,
    Charge::Records,
    Charge::Questions,
    Charge::Dials,
    Charge::Knocks,
    Charge::BytesServed,
    Charge::CompileMs,
    Charge::Streams,
    Charge::Frames,
    Charge::Connections,
    Charge::Handshakes,
    Charge::Unproved,
];

/// The shares of a payer, a cluster and all strangers.
struct Row {
    payer: Share,
    cluster: Share,
    strangers: Share,
}

const fn row(payer: (u64, u64), cluster: (u64, u64), strangers: (u64, u64)) -> Row {
    const fn share((burst, per_minute): (u64, u64)) -> Share {
        Share { burst, per_minute }
    }
    Row { payer: share(payer), cluster: share(cluster), strangers: share(strangers) }
}

const MIB: u64 = 1 << 20;

impl Charge {
    /// The table: (burst, per minute) of a payer, a cluster, all strangers.
    const fn row(self) -> Row {
        match self {
            // A new topic peer tells up to 32 Calls of two signatures and 272 records: three topics of that at once. A neighbour
            // forwards a Call a second in each of forty topics. All strangers together take half a second at once, and then 3 % of a core.
            Self::Signatures => row((1_024, 4_800), (2_048, 9_600), (8_192, 38_400)),
            // An honest neighbour forwards what it accepts: from each of 16 neighbours up to four Calls a second, known authors' ones
            // too. One costs about 10 µs.
            Self::Gossip => row((2_048, 9_600), (4_096, 19_200), (16_384, 76_800)),
            // An honest neighbour forwards what it accepts: unknown authors' Calls at three a second and topic, of which all may be over
            // this station's own share. One topic of that, and what gathers while a link stalls. Gossip remembers each message for
            // minutes, so that this bounds memory too.
            Self::NotAccepted => row((8_192, 15_360), (32_768, 61_440), (131_072, 245_760)),
            // Answers to the first questions in two topics, and then four a second, as many as are taken of a neighbour on gossip.
            Self::Calls => row((64, 240), (256, 960), (1_024, 3_840)),
            // An answer has at most 272: four topics at once; later one answer in 3 min and topic.
            Self::Records => row((1_088, 360), (4_352, 1_440), (17_408, 5_760)),
            // A claimant with 64 slots of jobs that take seconds, each delivered by itself; or half a megabyte of outputs a second.
            Self::Questions => row((256, 1_920), (1_024, 7_680), (4_096, 30_720)),
            // Paid by who names an address. All together: the searches of a station that starts, and then five a second.
            Self::Dials => row((16, 2), (32, 4), (512, 300)),
            // Paid by the machine that is dialled, which did not ask for it: whoever names it, and by however many keys, a station knocks
            // at one machine twice a minute and at one network four times.
            Self::Knocks => row((16, 2), (32, 4), (512, 300)),
            // A module of the largest size four times at once, then 2 MiB a second; a home line of 100 Mbit/s stays usable.
            Self::BytesServed => row((64 * MIB, 120 * MIB), (64 * MIB, 120 * MIB), (256 * MIB, 480 * MIB)),
            // The dearest module once, then an eighth of one core's time for one requester, half a core for all unknown ones.
            Self::CompileMs => row((60_000, 7_200), (60_000, 7_200), (240_000, 30_000)),
            // Eight streams for each question. An empty one costs about 7 µs: 3 % of a core for all strangers together.
            Self::Streams => row((2_048, 15_360), (8_192, 61_440), (32_768, 245_760)),
            // A question has some six: four for each stream. One costs 0.1 to 1.2 µs: 2 % of a core for all strangers together.
            Self::Frames => row((16_384, 61_440), (65_536, 245_760), (262_144, 983_040)),
            // A station that restarts, loses its line and dials again; a hundred of one provider after an outage; a whole network at
            // a bootstrap node.
            Self::Connections => row((16, 12), (64, 60), (1_024, 3_000)),
            // The same, with those that fail. They cost a key exchange each, about 200 µs.
            Self::Handshakes => row((32, 30), (128, 120), (2_048, 6_000)),
            // As many, by themselves: whoever writes another's address into datagrams must not use up what the other has over TCP.
            Self::Unproved => row((32, 30), (128, 120), (2_048, 6_000)),
        }
    }

    /// Whether who goes on although it is refused is to be let go. What others name, the machine that is dialled, what a module costs and
    /// who only wants bytes or a place is refused, and no more.
    #[must_use]
    pub const fn closes(self) -> bool {
        match self {
            Self::Signatures | Self::Gossip | Self::NotAccepted | Self::Calls | Self::Records | Self::Questions | Self::Streams | Self::Frames => {
                true
            }
            Self::Dials | Self::Knocks | Self::BytesServed | Self::CompileMs | Self::Connections | Self::Handshakes | Self::Unproved => false,
        }
    }

    /// The share of one payer.
    #[must_use]
    pub const fn payer(self) -> Share {
        self.row().payer
    }

    /// The share of one cluster.
    #[must_use]
    pub const fn cluster(self) -> Share {
        self.row().cluster
    }

    /// The share of all strangers together.
    #[must_use]
    pub const fn strangers(self) -> Share {
        self.row().strangers
    }

    /// In plain words, the same in every version that has it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Signatures => "signatures verified",
            Self::Gossip => "gossip messages and control",
            Self::NotAccepted => "64ths of messages not accepted",
            Self::Calls => "calls told",
            Self::Records => "records told",
            Self::Questions => "questions asked",
            Self::Dials => "dials caused",
            Self::Knocks => "knocks at a machine",
            Self::BytesServed => "bytes served",
            Self::CompileMs => "compile milliseconds",
            Self::Streams => "streams opened",
            Self::Frames => "small frames",
            Self::Connections => "connections",
            Self::Handshakes => "handshakes",
            Self::Unproved => "handshakes over QUIC",
        }
    }
}
