//! The style sheet of all pages.
//!
//! Guarantees: every size of text is in pixels; dark follows the reader's setting, and paper is always light. Deliberately lacks fonts of
//! its own: they would be references to elsewhere, or most of the file.

use super::chart::SERIES;
use super::palette;

/// The whole sheet.
pub(super) fn sheet() -> String {
    let (light, dark) = (palette::light(), palette::dark());
    let cards: String = CARDS.map(|(class, below)| cards(class, below)).concat();
    let pairs: String = CARDS.map(|(class, below)| pairs(class, below)).concat();
    let series: String = (0..SERIES).map(|n| format!(".s{n}{{stroke:var(--c{n})}}.f{n}{{fill:var(--c{n})}}")).collect();
    format!(
        ":root{{color-scheme:light dark;{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\
         {BASE}{TABLE}{cards}{CHART}{series}{DASHES}\
         @media print{{:root{{color-scheme:light;{light}}}{PAPER}{pairs}}}"
    )
}

/// Classes of tables, and how wide their boxes must be for what is no card.
const CARDS: [(&str, u32); 3] = [("narrow", 640), ("wide", 1_060), ("vast", 1_240)];

/// On paper a card of this class has two columns of cells where there is room for them.
fn pairs(class: &str, below: u32) -> String {
    let below = format!("(min-width:520px) and (max-width:{below}px)");
    format!("@container {below}{{table.{class} tr{{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);column-gap:16px}}}}")
}

/// A table of this class is a card per row where its box is narrower than `below` pixels.
fn cards(class: &str, below: u32) -> String {
    let table = format!("table.{class}");
    format!(
        "@container (max-width:{below}px){{{table},{table} tbody,{table} tr,{table} caption{{display:block}}\
         {table} thead{{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}}\
         {table} tr{{border-top:1px solid var(--line);padding:8px 12px}}\
         {table} tbody th,{table} td{{display:grid;grid-template-columns:minmax(96px,32%) minmax(0,1fr);column-gap:12px;border:0;padding:2px 0;text-align:left;white-space:normal}}\
         {table} tbody th::before,{table} td::before{{content:attr(data-of);color:var(--soft);font-weight:400;font-style:normal;font-size:13px}}\
         {table} .at{{white-space:normal}}}}"
    )
}

const BASE: &str = "\
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\
main{max-width:1240px;margin:0 auto;padding:32px 20px}h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}\
h2{font-size:18px;margin:32px 0 8px;break-after:avoid}p{margin:8px 0;max-width:100ch}\
.soft{color:var(--soft)}.accent,.good,.mixed,.bad{font-weight:600}.accent{color:var(--accent)}.good{color:var(--good)}.mixed{color:var(--mixed)}.bad{color:var(--bad)}\
.uncounted{color:var(--uncounted);font-style:italic;font-weight:400}.at{white-space:nowrap;font-variant-numeric:tabular-nums}td .at{font-size:13px}.at span{display:inline-block}.word{overflow-wrap:normal}dl .at{white-space:normal}code,.key,.soft,.label span{unicode-bidi:isolate}\
code{font:13px ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:2px 16px;margin:8px 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
.check{border-left:4px solid var(--accent);background:var(--card);padding:8px 14px;margin:16px 0;max-width:none}\
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0}.fact{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 16px;min-width:120px}.fact b{display:block;font-size:22px}\
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}";

const TABLE: &str = "\
.scroll{container-type:inline-size;overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}\
table{border-collapse:collapse;width:100%}caption{text-align:left;color:var(--soft);font-size:13px;padding:8px 12px}\
th,td{overflow-wrap:anywhere;text-align:left;padding:8px 12px;border-top:1px solid var(--line);vertical-align:top}td>div,th>div{min-width:0}.whole>div{overflow-wrap:normal}th .soft{font-weight:400}\
thead th{color:var(--soft);font-weight:600;font-size:13px;vertical-align:bottom}tbody th{font-weight:600}\
table.wide th,table.wide td{padding:8px 9px}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.key{color:var(--soft)}.nowrap{white-space:nowrap}\
.group+.group{margin-top:4px}.reading{padding-left:14px;text-indent:-14px}";

const CHART: &str = "\
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:16px;margin:16px 0}\
figure.chart{container-type:inline-size;margin:16px 0;min-width:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px;break-inside:avoid}\
.pair figure.chart{margin:0}figcaption b{font-size:15px}figcaption{font-size:13px;color:var(--soft);margin-bottom:8px}figcaption b{color:var(--ink);display:block}\
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;margin:0 0 8px;padding:0;font-size:13px}.legend li{display:flex;gap:6px}.legend svg{flex:none;margin-top:3px}\
.rows{display:grid;grid-template-columns:fit-content(42%) minmax(0,1fr) fit-content(30%);column-gap:16px;font-size:13px}.row{display:contents}\
.row>*{min-height:26px}.label,.figure{align-self:center;line-height:1.35;padding:3px 0;min-height:0}.label span{white-space:pre-wrap}.label span,.figure span{display:block;overflow-wrap:anywhere}.label .key{display:inline}.figure{font-variant-numeric:tabular-nums;text-align:right}\
svg{display:block;overflow:visible}svg text{font:12px system-ui,sans-serif;fill:var(--soft)}svg.lines{width:100%}.track{position:relative}.track svg{position:absolute;inset:0;width:100%;height:100%}.ticks,.plot{container-type:inline-size}.ticks svg{width:100%;height:26px}\
.axis{stroke:var(--line)}.zero{stroke:var(--soft)}.box{fill:var(--c0);fill-opacity:.25;stroke:var(--c0)}.median{fill:var(--c0)}.whisker{stroke:var(--ink);stroke-width:1.5}.end{fill:var(--ink)}\
.agrees{fill:var(--c0)}.differs{fill:var(--card);stroke:var(--mixed);stroke-width:2}.open{fill:var(--c5)}rect.uncounted{fill:var(--c3)}\
.plot{padding:8px 8px 26px 0}.lines path{fill:none;stroke-width:2}.fault{fill:var(--bad);opacity:.12}.faultline{stroke:var(--bad);stroke-dasharray:3 3}.warm{fill:var(--soft);opacity:.12}.yname{font-size:12px;color:var(--soft)}\
@container (max-width:480px){.rows{display:block}.row{display:grid;grid-template-columns:minmax(0,1fr)}.row>*{min-height:0;padding:0}.row>.track,.row>.ticks{order:3;min-height:24px}.row+.row{margin-top:8px}.figure{order:2;text-align:left}.label span,.figure span{display:inline}.label>span+span::before{content:\" · \"}}@container (max-width:400px){.every-other{display:none}}";

/// Curves that lie on each other are told apart by their dashes, on a black and white sheet too.
const DASHES: &str = ".lines .s1,.legend .s1{stroke-dasharray:7 5}.lines .s2,.legend .s2{stroke-dasharray:2 4}.lines .s3,.legend .s3{stroke-dasharray:10 4 2 4}\
.lines .s4,.legend .s4{stroke-dasharray:4 4}.lines .s5,.legend .s5{stroke-dasharray:12 6}";

const PAPER: &str = "@page{margin:14mm}main{max-width:none;padding:0}body{background:#fff;font-size:12px}code{font-size:11px}td,th{padding:5px 8px}.scroll{overflow:visible}\
h1{font-size:22px}h2+p,caption,thead{break-after:avoid}caption{break-inside:avoid}tbody tr:first-child{break-before:avoid}tr,.fact,.check,.row>*{break-inside:avoid}.facts{gap:8px}";
