use super::chart::{Axis, Curve, Dot, Key, Lines, Mark, Row, Rows, Span, SpanKind};
use super::words::{cut, quantity, tail, unit_of};
use super::*;

const HOSTILE: &str = "</td><script>alert('x')</script>\"\x1b[2J\u{202e}&";

/// Every SVG of a page up to one inside it, or to its end.
fn drawings(page: &str) -> Vec<&str> {
    page.split("<svg").skip(1).map(|rest| rest.split("</svg>").next().unwrap_or(rest)).collect()
}

fn bars() -> Rows<'static> {
    let row = |name: &str, value: f64| Row {
        label: vec![("key".into(), name.into())],
        figure: (number(value), "n 1".into()),
        says: format!("{value} of something"),
        marks: vec![Mark::Bar { from: 0.0, until: value, series: 0, lane: 0, lanes: 1 }],
    };
    Rows { title: "bars", note: "a note", legend: vec![Key::Bar(0, "bars")], counts: false, rows: vec![row("one", 12.0), row(HOSTILE, 30.0)] }
}

fn bars_to(value: f64) -> String {
    let marks = vec![Mark::Bar { from: 0.0, until: value, series: 0, lane: 0, lanes: 1 }];
    Rows { title: "t", note: "", legend: Vec::new(), counts: false, rows: vec![Row { marks, ..Row::default() }] }.html()
}

fn lines() -> Lines<'static> {
    Lines {
        title: "curves",
        note: "",
        y_name: "share of all",
        x_unit: "s",
        x_ends: None,
        y_least: 1.0,
        height_px: 200,
        curves: vec![
            Curve { label: "first", points: vec![(1.0, 0.5), (2.0, 1.0), (f64::NAN, 1.0)], steps: true },
            Curve { label: HOSTILE, points: vec![(1.0, 0.1), (4.0, 0.9)], steps: false },
        ],
        spans: vec![Span { from: 1.0, until: 9.0, kind: SpanKind::Fault, says: HOSTILE }],
        says: "two curves".into(),
    }
}

fn page_of(parts: &[String]) -> String {
    let mut page = Page::new(HOSTILE);
    page.charts(parts);
    page.finish()
}

#[test]
fn charts_are_laid_out_by_percent_and_their_text_is_in_pixels() {
    let page = page_of(&[bars().html(), lines().html()]);
    assert!(page.contains("svg text{font:12px "), "text has its size in pixels");
    let stretched: Vec<&str> = drawings(&page).into_iter().filter(|drawing| drawing.contains("viewBox")).collect();
    assert_eq!(stretched.len(), 1, "the curves");
    for drawing in stretched {
        assert!(
            !drawing.contains("<text") && drawing.contains("non-scaling-stroke"),
            "what is stretched has neither words nor thick strokes: {drawing}"
        );
    }
    for scaled in ["transform=\"scale", "transform:scale", "textLength", "font-size=\"", "vw;", "zoom:"] {
        assert!(!page.contains(scaled), "{scaled}");
    }
    for tick in page.split("<text").skip(1).map(|text| &text[..text.find('>').expect("a tag ends")]) {
        let x = tick.split(" x=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a text has a place");
        assert!(x.ends_with('%') || x == "-8", "{tick}: at 390 pixels it would stand elsewhere");
    }
    assert!(page.contains("@container (max-width:480px){.rows{display:block}"), "labels stand above their drawings on a phone");
}

#[test]
fn every_size_of_text_in_the_style_sheet_is_in_pixels() {
    let sheet = style::sheet();
    for (at, _) in sheet.match_indices("font-size:") {
        let value: String = sheet[at + 10..].chars().take_while(|c| *c != ';' && *c != '}').collect();
        let pixels: u32 = value.strip_suffix("px").and_then(|pixels| pixels.parse().ok()).unwrap_or_else(|| panic!("{value}"));
        assert!(pixels >= 11, "{value} is too small to read");
    }
    assert!(sheet.contains("@media print{:root{color-scheme:light;"), "paper is light");
    assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
}

#[test]
fn curves_that_lie_on_each_other_are_told_apart_without_colour() {
    let sheet = style::sheet();
    for series in 1..chart::SERIES {
        assert!(sheet.contains(&format!(".lines .s{series},.legend .s{series}{{stroke-dasharray:")), "{series}");
    }
    let page = page_of(&[lines().html()]);
    assert!(page.contains("<line class=\"s1\"") && page.contains("<path class=\"s1\""), "the legend has the dashes too");
    assert!(page.contains("<div class=\"yname\">share of all</div>"), "the upright axis says what it shows");
}

#[test]
fn every_drawing_that_says_something_has_a_title_and_a_description() {
    let page = page_of(&[bars().html(), lines().html()]);
    let told = drawings(&page).into_iter().filter(|drawing| drawing.split('>').next().is_some_and(|tag| tag.contains("role=\"img\""))).count();
    assert_eq!(told, 3, "two rows and a drawing of curves");
    assert_eq!((page.matches("<desc>").count(), page.matches("</desc>").count()), (told, told));
    assert!(page.contains("<title>key one</title><desc>12 of something</desc>") && page.contains("<title>curves</title><desc>two curves</desc>"));
    assert!(page.contains("<figcaption><b>bars</b>a note</figcaption>"));
}

#[test]
fn nothing_that_strangers_wrote_is_markup_or_moves_the_cursor() {
    let mut page = Page::new(HOSTILE);
    page.section(HOSTILE);
    page.facts(&[(HOSTILE.into(), HOSTILE)]);
    let mut table = Table::new(HOSTILE, vec![Column::words(HOSTILE), Column::number(HOSTILE)]);
    table.row(vec![Cell::text(HOSTILE), Cell::code(HOSTILE)]);
    page.table(&table);
    let mut rows = bars();
    (rows.title, rows.note, rows.legend) = (HOSTILE, HOSTILE, vec![Key::Dot(Dot::Open, HOSTILE)]);
    rows.rows[0] = Row {
        label: vec![(HOSTILE.into(), HOSTILE.repeat(9))],
        figure: (HOSTILE.into(), HOSTILE.into()),
        says: HOSTILE.into(),
        marks: vec![Mark::Dot { value: 1.0, dot: Dot::Differs, says: HOSTILE.into() }],
    };
    let mut lines = lines();
    (lines.title, lines.note, lines.y_name, lines.x_unit, lines.says) = (HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE.into());
    page.charts(&[rows.html(), lines.html()]);
    let page = page.finish();
    for forbidden in ["<script", "</script", "'x'", "\x1b", "\u{202e}"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<td").count(), page.matches("</td>").count());
}

#[test]
fn control_characters_are_seen_and_join_no_figures() {
    assert_eq!(["1\t2", "3\n5", "a\x1b[2J", "ok\u{202e}ko"].map(escape), ["1\\t2", "3\\n5", "a\\u{1b}[2J", "ok\\u{202e}ko"]);
}

#[test]
fn a_table_has_caption_head_scopes_and_roles_and_takes_the_keyboard() {
    let mut table = Table::new("what it is", vec![Column::words("name"), Column::number("size")]);
    table.row(vec![Cell::text("one"), Cell::text("2").classed("bad")]);
    let html = table.html();
    for part in [
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"what it is\">",
        "<caption>what it is</caption><thead role=\"rowgroup\">",
        "<th scope=\"col\" role=\"columnheader\" class=\"whole\"><div>name</div></th>",
        "<th scope=\"col\" role=\"columnheader\" class=\"n whole\"><div>size</div></th>",
        "<th scope=\"row\" role=\"rowheader\" class=\"whole\" data-of=\"name\"><div>one</div></th>",
        "<td role=\"cell\" class=\"n whole bad\" data-of=\"size\"><div>2</div></td>",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
}

#[test]
fn long_words_break_anywhere_so_that_no_column_grows_beyond_the_page_and_short_ones_stay_whole() {
    let long = "x".repeat(25);
    let mut table = Table::new("t", vec![Column::words("name"), Column::words(&long)]);
    table.row(vec![Cell::text("failed: out_of_fuel"), Cell::text(&format!("failed: {long}"))]);
    let html = table.html();
    assert!(html.contains("class=\"whole\" data-of=\"name\"><div>failed: out_of_fuel"));
    assert!(
        html.contains(&format!("<th scope=\"col\" role=\"columnheader\"><div>{long}")) && html.contains(&format!("role=\"cell\" data-of=\"{long}\""))
    );
    let sheet = style::sheet();
    assert!(sheet.contains("th,td{overflow-wrap:anywhere;") && sheet.contains(".whole>div{overflow-wrap:normal}"));
}

#[test]
fn a_table_without_room_is_a_card_per_row_and_loses_no_column() {
    let sheet = style::sheet();
    for (columns, class, below) in [(2, "narrow", 640), (8, "narrow", 640), (9, "wide", 1_060), (12, "wide", 1_060), (13, "vast", 1_240)] {
        let table = Table::new("t", (0..columns).map(|n| Column::words(&n.to_string())).collect());
        assert!(table.html().contains(&format!("<table class=\"{class}\"")), "{columns}");
        assert!(sheet.contains(&format!("@container (max-width:{below}px){{table.{class},")), "{class}");
    }
    assert!(sheet.contains("content:attr(data-of)"), "each line of a card names its column");
    assert!(!sheet.replace(".every-other{display:none}", "").contains("display:none"), "only every other tick may go");
}

#[test]
fn axes_end_at_round_numbers_and_reach_all_values() {
    for (values, ticks) in [
        (vec![413.0], vec![0.0, 200.0, 400.0, 600.0]),
        (vec![6_636_556.0], vec![0.0, 2e6, 4e6, 6e6, 8e6]),
        (vec![0.0], vec![0.0, 0.25, 0.5, 0.75, 1.0]),
        (vec![], vec![0.0, 0.25, 0.5, 0.75, 1.0]),
        (vec![1.0], vec![0.0, 0.25, 0.5, 0.75, 1.0]),
        (vec![f64::NAN, f64::INFINITY, 9.0], vec![0.0, 2.5, 5.0, 7.5, 10.0]),
        (vec![-3.0, 5.0], vec![-4.0, -2.0, 0.0, 2.0, 4.0, 6.0]),
    ] {
        let axis = Axis::of(values.iter().copied());
        assert_eq!(axis.ticks().iter().map(|(value, _)| *value).collect::<Vec<_>>(), ticks, "{values:?}");
        assert!(values.iter().filter(|value| value.is_finite()).all(|value| (0.0..=100.0).contains(&axis.at(*value))));
    }
    let millions = bars_to(6_636_556.0);
    assert!(millions.contains(">2 M</text>") && millions.contains(">0</text>") && bars_to(30.0).contains(">30</text>"), "{millions}");
    for (most, whole) in [(1.0, vec![0.0, 1.0]), (2.0, vec![0.0, 1.0, 2.0]), (6.0, vec![0.0, 2.0, 4.0, 6.0]), (9.0, vec![0.0, 3.0, 6.0, 9.0, 12.0])] {
        let axis = Axis::of([most].into_iter()).whole();
        assert_eq!(axis.ticks().iter().map(|(value, _)| *value).collect::<Vec<_>>(), whole);
        assert!(axis.at(most) <= 100.0 && axis.at(most) > axis.at(most - 1.0));
    }
    let tight = Axis::of([240.0].into_iter()).until(240.0);
    assert_eq!(tight.ticks().iter().map(|(value, _)| *value).collect::<Vec<_>>(), [0.0, 100.0, 200.0], "time ends where the run does");
    assert_eq!((tight.at(240.0), tight.at(120.0)), (100.0, 50.0));
    for extreme in [1e308, -1e308, 1e-308, f64::MIN_POSITIVE] {
        let axis = Axis::of([extreme, -extreme].into_iter());
        assert!(axis.ticks().len() < 10 && axis.ticks().iter().all(|(value, at)| value.is_finite() && at.is_finite()), "{extreme}");
    }
}

#[test]
fn marks_stand_where_their_values_are() {
    let axis = Axis::of([0.0, 100.0].into_iter());
    assert_eq!([0.0, 25.0, 100.0, 250.0].map(|value| axis.at(value)), [0.0, 25.0, 100.0, 100.0]);
    let spread = Mark::Box { low: 10.0, q1: 20.0, median: 30.0, q3: 60.0, high: 100.0 };
    let row = Row { marks: vec![spread, Mark::Mean { value: f64::NAN, half: None, series: 0 }], ..Row::default() };
    let html = Rows { title: "t", note: "", legend: Vec::new(), counts: false, rows: vec![row] }.html();
    assert!(html.contains("<line class=\"whisker\" x1=\"10.00%\" x2=\"100.00%\""), "{html}");
    assert!(html.contains("<rect class=\"box\" x=\"20.00%\" y=\"50%\" width=\"40.00%\"") && html.contains("<rect class=\"median\" x=\"30.00%\""));
    assert!(!html.contains("NaN") && !html.contains("<circle"), "what is no number draws nothing");
}

#[test]
fn a_label_shows_its_keys_and_loses_only_its_middle() {
    let mut rows = bars();
    let long = format!("bafkrei{}thxm", "x".repeat(60));
    rows.rows[0].label = vec![("cid".into(), long.clone()), ("gateway".into(), "https://a.example".into())];
    let html = rows.html();
    assert!(html.contains("<span class=\"key\">cid</span> bafkreixxxxxxxxxxxxx…xxxx") && html.contains("xxxthxm</span>"), "{html}");
    assert!(html.contains(&format!(" title=\"{long}\"")) && html.contains("<span class=\"key\">gateway</span> https://a.example"));
    assert!(style::sheet().contains("grid-template-columns:fit-content(42%) minmax(0,1fr) fit-content(30%)"), "as wide as needed");
}

#[test]
fn numbers_have_three_digits_that_count_and_commas_between_thousands() {
    for (value, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (6_636_556.0, "6,636,556"),
        (1_234.5, "1,234"),
        (-12_345.0, "-12,345"),
        (999.9, "1,000"),
        (99.94, "99.9"),
        (5.0, "5"),
        (0.0123, "0.012"),
        (-2.5, "-2.5"),
        (100.0, "100"),
        (20.0, "20"),
        (0.000_04, "4.0e-5"),
        (1e300, "1.0e300"),
        (f64::NAN, "–"),
        (f64::INFINITY, "–"),
    ] {
        assert_eq!(number(value), text);
    }
    assert_eq!([0, 999, 1_000, 1_234_000].map(grouped), ["0", "999", "1,000", "1,234,000"]);
}

#[test]
fn readings_have_the_unit_that_their_field_is_named_after() {
    assert_eq!(["ttfb_ms", "throughput_kbps", "ms", "primes", "items", ""].map(unit_of), ["ms", "kbps", "ms", "", "", ""]);
    assert_eq!((quantity(81.0, "ms"), quantity(81.0, "")), ("81 ms".to_owned(), "81".to_owned()));
    assert_eq!((tail("12D3KooWabcdef").as_str(), tail("abc").as_str()), ("…abcdef", "abc"));
    assert_eq!((cut("short", 9), cut("abcdefghij", 5)), ("short".to_owned(), "ab…ij".to_owned()));
}

#[test]
fn a_time_breaks_between_day_and_hour_alone() {
    assert_eq!(
        time("2026-12-30T22:33:20.000Z"),
        "<time class=\"at\"><span>2026-12-30T</span><span>22:33:20.000Z</span></time>",
        "whoever copies it has it whole"
    );
    assert!(!time("<b>").contains("<b>"));
    let sheet = style::sheet();
    assert!(sheet.contains(".at{white-space:nowrap;"), "where there is room nowhere");
    assert!(sheet.contains("table.wide .at{white-space:normal}") && sheet.contains("dl .at{white-space:normal}"), "in a card and in the head");
}

#[test]
fn all_words_have_a_colour_whose_contrast_is_computed() {
    let sheet = style::sheet();
    let words: Vec<String> = palette::WORDS.iter().map(|(name, ..)| format!("var(--{name})")).collect();
    for (at, _) in sheet.match_indices("color:") {
        let before = sheet[..at].chars().next_back();
        let value: String = sheet[at + 6..].chars().take_while(|c| *c != ';' && *c != '}').collect();
        assert!(before == Some('-') || words.contains(&value), "{value}");
    }
    assert!(sheet.contains("svg text{font:12px system-ui,sans-serif;fill:var(--soft)}"), "of drawings too");
    let faint: Vec<&str> = sheet.split('}').filter(|rule| rule.contains(";opacity:") || rule.contains("{opacity:")).collect();
    assert!(faint.iter().all(|rule| rule.contains(".fault{") || rule.contains(".warm{")), "no words are: {faint:?}");
}

#[test]
fn on_paper_rows_cards_and_charts_stay_whole_and_a_table_repeats_its_head() {
    let sheet = style::sheet();
    let paper = sheet.split("@media print{").nth(1).expect("there is paper");
    assert!(paper.contains("tr,.fact,.check,.row>*{break-inside:avoid}") && sheet.contains("padding:12px 16px;break-inside:avoid}"));
    // A head repeats where it is a group of rows, which only cards undo: these name their cells themselves.
    let undone: Vec<&str> = sheet.match_indices("thead{").map(|(at, _)| &sheet[at..at + 24]).collect();
    let (hidden, rest): (Vec<&str>, Vec<&str>) = undone.iter().partition(|rule| rule.starts_with("thead{position:absolute"));
    assert_eq!((hidden.len(), rest), (3, vec!["thead{break-after:avoid}"]));
    for class in ["narrow", "wide", "vast"] {
        assert!(paper.contains(&format!("{{table.{class} tr{{display:grid;")), "two cells of a card stand beside each other");
    }
}
