use super::*;

#[test]
fn the_table_is_the_great_circle_between_the_cities() {
    let radians = |hundredths: i32| (f64::from(hundredths) / 100.0).to_radians();
    for a in Region::ALL {
        for b in Region::ALL.into_iter().filter(|b| *b != a) {
            let ((lat_a, lon_a), (lat_b, lon_b)) = (a.place(), b.place());
            let half = |x: i32, y: i32| ((radians(y) - radians(x)) / 2.0).sin().powi(2);
            let h = half(lat_a, lat_b) + radians(lat_a).cos() * radians(lat_b).cos() * half(lon_a, lon_b);
            let km = 2.0 * 6_371.0 * h.sqrt().asin();
            #[expect(clippy::cast_precision_loss, reason = "thousands of kilometres")]
            let error = (distance_km(a, b) as f64 - km).abs();
            assert!(error <= 1.0, "{} to {}: {} km, not {km:.0}", a.name(), b.name(), distance_km(a, b));
        }
    }
}

#[test]
fn the_latency_follows_the_formula_both_ways() {
    // Frankfurt to Ashburn: 6,560 km or so; 1.5 × 6,560 / 200 + 2 = 51 ms.
    let there = latency(Region::Europe, Region::NaEast);
    assert!((Nanos::from_millis(48)..Nanos::from_millis(54)).contains(&there), "{there:?}");
    for a in Region::ALL {
        for b in Region::ALL {
            assert_eq!(latency(a, b), latency(b, a));
            assert!(latency(a, b) >= latency(a, a));
        }
    }
}

#[test]
fn a_region_is_found_by_its_name_in_files_too() {
    for region in Region::ALL {
        assert_eq!(Region::named(region.name()), Some(region));
        assert_eq!(serde_json::to_value(region).unwrap(), region.name());
    }
    assert_eq!(Region::named("atlantis"), None);
}
