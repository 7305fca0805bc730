use super::*;
use crate::scenario::plan;

fn drawn(churn: &str) -> Vec<Absence> {
    let text = format!(
        "[run]\nduration = \"100m\"\n[[group]]\nname = \"home\"\ncount = 100\n[[group]]\nname = \"dc\"\ncount = 10\n[churn]\nwho = \"group:home\"\n{churn}"
    );
    let scenario = Scenario::parse(&text).unwrap();
    absences(&scenario, &plan::stations(&scenario))
}

const TURNOVER: &str = "model = { kind = \"turnover\", share = \"20%\", every = \"1m\", away = \"30s\" }\n";
const SESSIONS: &str = "model = { kind = \"sessions\", mean = \"10m\", mean_away = \"1m\" }\n";

#[test]
fn turnover_takes_its_share_in_every_span() {
    let absences = drawn(TURNOVER);
    // 100 stations × 100 minutes × 20 % = 2,000; the standard deviation is 40.
    assert!((1_840..2_160).contains(&absences.len()), "{}", absences.len());
    assert!(absences.iter().all(|absence| absence.station < 100 && absence.until == Some(Span(absence.from.0 + 30_000))));
}

#[test]
fn sessions_and_absences_have_their_means() {
    let absences = drawn(SESSIONS);
    // 100 stations × 100 minutes ÷ 11 minutes a cycle = 909.
    assert!((800..1_020).contains(&absences.len()), "{}", absences.len());
    let away: u64 = absences.iter().filter_map(|absence| Some(absence.until?.0 - absence.from.0)).sum();
    let mean = away / absences.len() as u64;
    assert!((52_000..68_000).contains(&mean), "{mean}");
}

#[test]
fn absences_come_in_order_and_one_stations_never_overlap() {
    for model in [TURNOVER, SESSIONS] {
        let absences = drawn(model);
        assert!(absences.windows(2).all(|pair| pair[0].from <= pair[1].from));
        for station in 0..100 {
            let own: Vec<_> = absences.iter().filter(|absence| absence.station == station).collect();
            assert!(own.windows(2).all(|pair| pair[0].until.is_some_and(|until| until <= pair[1].from)));
        }
    }
}

#[test]
fn churn_keeps_to_its_time_and_those_who_do_not_come_back_leave_once() {
    let absences = drawn(&format!("from = \"20m\"\nuntil = \"30m\"\nrejoin = false\n{TURNOVER}"));
    assert!(!absences.is_empty());
    assert!(absences.iter().all(|absence| (1_200_000..1_800_000).contains(&absence.from.0) && absence.until.is_none()));
    let mut stations: Vec<_> = absences.iter().map(|absence| absence.station).collect();
    stations.sort_unstable();
    stations.dedup();
    assert_eq!(stations.len(), absences.len());
}
