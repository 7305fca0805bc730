//! PROTOCOL.md says what the code does: its bounds and its kinds are compared with the constants.

use station_protocol::identity::Body;
use station_protocol::limits::LIMITS_MAX;
use station_protocol::{address, call, capability, census, codec, experiment, hostcall, jobs, labels, log, receipt, sampling, verdict, work, worker};

const DOCUMENT: &str = include_str!("../PROTOCOL.md");

#[test]
fn every_bound_in_the_table_is_the_constant_of_that_name() {
    macro_rules! bounds {
        ($($module:ident::$name:ident),* $(,)?) => { vec![$((stringify!($name), $module::$name as u64)),*] };
    }
    let bounds: Vec<(&str, u64)> = bounds![
        codec::DEPTH_MAX,
        call::CALL_BYTES_MAX,
        call::CALL_VALID_MS_MAX,
        call::CLOCK_TOLERANCE_MS,
        call::CALL_ADDRESSES_MAX,
        address::ADDRESS_BYTES_MAX,
        work::REQUEST_BYTES_MAX,
        work::RESPONSE_BYTES_MAX,
        work::RELAYED_BYTES_MAX,
        work::REQUEST_TIMEOUT_MS,
        work::HOLDING_MAX,
        work::DELIVERIES_MAX,
        work::PROGRESS_MAX,
        work::MESSAGE_BYTES_MAX,
        work::LEASES_MAX,
        work::ACK_VERDICTS_MAX,
        work::HAVE_MAX,
        work::CALLS_MAX,
        census::SAMPLE_MAX,
        census::CLUSTER_SEATS_MAX,
        census::PROVED_MIN,
        work::INTRODUCED_MAX,
        work::PEERS_MAX,
        census::RECORD_ADDRESSES_MAX,
        work::INPUT_BYTES_MAX,
        receipt::LOG_BYTES_MAX,
        experiment::MODULE_BYTES_MAX,
        experiment::DEADLINE_MS_MAX,
        worker::OUTBOX_UNKNOWN_MAX,
        work::PROFILES_MAX,
        receipt::RECEIPT_BYTES_MAX,
        receipt::INLINE_BYTES_MAX,
        experiment::LABELS_MAX,
        experiment::LABEL_VALUES_MAX,
        labels::LABELS_BYTES_MAX,
        experiment::FIELDS_MAX,
        experiment::EXECUTIONS_MAX,
        capability::PATTERNS_MAX,
        verdict::VERDICT_RECEIPTS_MAX,
        verdict::STRATA_MAX,
        verdict::GROUPS_MAX,
        verdict::EXACT_BYTES_MAX,
        verdict::VERDICT_EXACT_BYTES_MAX,
        log::PAGE_BYTES_MAX,
        log::JOB_RECEIPTS_BYTES_MAX,
        log::HELD_RECEIPT_BYTES_MAX,
        log::PAGES_MAX,
        log::ROOT_BYTES_MAX,
        jobs::KEYS_MAX,
        jobs::PRODUCT_MAX,
        jobs::EXPLICIT_MAX,
        jobs::EXPLICIT_BYTES_MAX,
        jobs::CHUNK_INPUTS_MAX,
        jobs::CHUNK_BYTES_MAX,
        jobs::BLOCK_BYTES_MAX,
        hostcall::TRANSCRIPT_BYTES_MAX,
        sampling::TARGET_CAP_PER_DAY,
        sampling::TARGET_QUOTA_PER_DAY,
        sampling::TARGET_STATIONS_MAX,
        sampling::TARGET_SHARE_MIN,
        sampling::NETWORK_NAMES_MAX,
        sampling::NETWORK_CAP_PER_DAY,
        sampling::NETWORK_STATIONS_MAX,
    ];
    for (name, value) in &bounds {
        assert!(DOCUMENT.contains(&format!("| `{name}` | {value} |")), "{name} is {value}");
    }
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `") && (line.contains("_M") || line.contains("_PER_DAY"))).count();
    assert_eq!(rows, bounds.len(), "every row is compared");
}

#[test]
fn the_sentence_on_limits_names_each_with_its_bound() {
    let bounds = [
        ("fuel", LIMITS_MAX.fuel),
        ("memory_bytes", LIMITS_MAX.memory_bytes),
        ("wall_ms", LIMITS_MAX.wall_ms),
        ("output_bytes", LIMITS_MAX.output_bytes),
        ("in_bytes", LIMITS_MAX.in_bytes),
    ];
    let bounds: Vec<String> = bounds.iter().map(|(name, most)| format!("{name} {most}")).collect();
    let sentence = format!("Limits of an experiment are at least 1 (`in_bytes` 0) and at most: {}. ", bounds.join(", "));
    assert!(DOCUMENT.replace('\n', " ").contains(&sentence), "PROTOCOL.md lacks: {sentence}");
}

#[test]
fn every_kind_that_is_signed_is_named() {
    let kinds = [
        experiment::Experiment::KIND,
        call::Call::KIND,
        work::Leases::KIND,
        work::Refusal::KIND,
        work::Ack::KIND,
        receipt::Receipt::KIND,
        census::PeerRecord::KIND,
    ];
    for kind in kinds {
        assert!(DOCUMENT.contains(&format!("| `{kind}` |")), "{kind}");
    }
    assert_eq!(DOCUMENT.matches("/1` | `").count(), kinds.len());
}

#[test]
fn every_share_in_the_table_is_the_code_s() {
    use station_protocol::accounts::CHARGES;
    for charge in CHARGES {
        let shares = [charge.payer(), charge.cluster(), charge.strangers()];
        let cells: Vec<String> = shares.iter().map(|share| format!("{} + {}", share.burst, share.per_minute)).collect();
        let row = format!("| {} | {} |", charge.words(), cells.join(" | "));
        assert!(DOCUMENT.contains(&row), "PROTOCOL.md lacks {row}");
    }
}

#[test]
fn the_sentences_around_the_shares_have_the_code_s_numbers() {
    use station_protocol::accounts::{self, MESSAGE, over_quota};
    let page = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(accounts::KNOWN_TIMES, 4);
    let sentences = [
        "Peers with a history of work have four shares, and pay with each other.".to_owned(),
        format!("A station remembers {} keys of a network by name", accounts::CLUSTER_PAYERS_MAX),
        format!(
            "One IPv4 address or /64 has at most {} connections and handshakes, one /24 or /48 {}.",
            accounts::places::HOST_PLACES_MAX,
            accounts::places::NETWORK_PLACES_MAX
        ),
        "costs 4/(3·T) of a message, and at most one, for a station in T topics".to_owned(),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "PROTOCOL.md lacks: {sentence}");
    }
    for topics in 1..=32 {
        // To the next 64th below, which is what is counted.
        let said = (4 * MESSAGE / (3 * topics)).min(MESSAGE);
        assert_eq!(over_quota(usize::try_from(topics).unwrap()), said, "in {topics} topics");
    }
}

#[test]
fn every_bound_in_the_cddl_is_the_code_s() {
    let cddl = DOCUMENT.split("```cddl").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has its CDDL");
    let executions = experiment::EXECUTIONS_MAX;
    let bounds = [
        format!("address = text .size (0..{})", address::ADDRESS_BYTES_MAX),
        format!("labels  = {{ * name => [0*{} name] }}            ; at most {} labels", experiment::LABEL_VALUES_MAX, experiment::LABELS_MAX),
        format!("http: [0*{} target]", capability::PATTERNS_MAX),
        format!("{{ fixed: 1..{executions} }}"),
        format!("stations: 1..{executions}, spread: \"network\", exact: [0*{0} field], report: [0*{0} field]", experiment::FIELDS_MAX),
        format!("at: [0*{} address], nbf: time", call::CALL_ADDRESSES_MAX),
        format!("have: [0*{} [cid, uint]]", work::HAVE_MAX),
        format!("have: [0*{} uint]", census::SAMPLE_MAX),
        format!("free: u32, holding: [0*{} lease-number],\n  profiles: [0*{} name]", work::HOLDING_MAX, work::PROFILES_MAX),
        format!("receipts: [0*{} delivery], holding: [0*{} lease-number]", work::DELIVERIES_MAX, work::HOLDING_MAX),
        format!("returned: [0*{} [lease-number, return-reason]]", work::HOLDING_MAX),
        format!("log: bytes .size (0..{})", receipt::LOG_BYTES_MAX),
        format!("calls: [0*{} signed<call>]", work::CALLS_MAX),
        format!("records: [0*{} signed<peer-record>]", work::PEERS_MAX),
        format!("leases: [0*{} lease]", work::LEASES_MAX),
        format!("input: bytes .size (0..{})", work::INPUT_BYTES_MAX),
        format!("held: [0*{0} lease-number], refused: [0*{0} [lease-number, receipt-refused]]", work::DELIVERIES_MAX),
        format!("verdicts: [0*{} verdict]", work::ACK_VERDICTS_MAX),
        format!("at: [0*{} address], made: time", census::RECORD_ADDRESSES_MAX),
        format!("strata: [0*{} stratum]", verdict::STRATA_MAX),
        format!("numbers  = [0*{} lease-number]", verdict::VERDICT_RECEIPTS_MAX),
        format!("groups: [0*{} group]", verdict::GROUPS_MAX),
        format!("exact: {{ * field => bytes .size (0..{}) }}", verdict::EXACT_BYTES_MAX),
        format!("pages: [0*{} cid]", log::PAGES_MAX),
        format!("jobs-root  = [1*{} [field, cid, uint]]", jobs::KEYS_MAX),
        format!("jobs-chunk = [1*{} any]", jobs::CHUNK_INPUTS_MAX),
        format!("records: [0*{} record]", hostcall::OPS_MAX),
        format!("url: text .size (0..{})", hostcall::RECORD_URL_BYTES_MAX),
        format!("detail: text .size (0..{})", hostcall::DETAIL_BYTES_MAX),
    ];
    for bound in &bounds {
        assert!(cddl.contains(bound), "PROTOCOL.md lacks: {bound}");
    }
}
