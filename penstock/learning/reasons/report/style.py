"""The page's dress: one sheet of CSS, with colours for light, dark and print."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "ground": "#f7f6f2", "paper": "#ffffff", "ink": "#1c2127", "soft": "#535c66", "rule": "#dddad1",
    "own": "#0b5c9e", "other": "#7a828c", "warm": "#a8430c", "good": "#1d6b40",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "ground": "#101418", "paper": "#181d23", "ink": "#ebe8e1", "soft": "#aab1ba", "rule": "#323a43",
    "own": "#6db3f2", "other": "#8d96a1", "warm": "#f29a63", "good": "#74c797",
}  # fmt: skip
TEXT = ("ink", "soft", "own", "warm", "good")
"""The colours that words are written in; on ground and on paper they keep a contrast of 4.5 (WCAG 2.2, AA)."""


def _colours(named: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in named.items())


_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:2.75rem;padding-bottom:.5rem}
.eyebrow{margin:0 0 .6rem;color:var(--soft);font-size:.8125rem;letter-spacing:.06em;text-transform:uppercase}
h1{font:600 clamp(1.35rem,1.1rem + 1.1vw,1.85rem)/1.25 Charter,"Bitstream Charter","Iowan Old Style",Georgia,serif;
margin:0 0 .5rem;max-width:50rem;text-wrap:balance}
h2{font:600 1.3rem/1.3 Charter,"Bitstream Charter","Iowan Old Style",Georgia,serif;margin:0 0 .9rem}
h3{font-size:.9375rem;line-height:1.35;margin:0 0 .5rem;font-weight:600}
p{margin:0 0 .8rem;max-width:44rem}
.lead{color:var(--soft);margin-bottom:1.1rem} h2+.lead{margin-top:-.55rem}
.grid+.table,.table+.table{margin-top:1.5rem} .wide{grid-column:1/-1}
pre{margin:0 0 1rem;padding:.8rem 1rem;background:var(--paper);border:1px solid var(--rule);border-radius:6px;
white-space:pre-wrap;font:.84rem/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{font:.92em ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
section{background:var(--paper);border:1px solid var(--rule);border-radius:10px;padding:1.4rem 1.5rem;margin:1.1rem 0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.9rem 1.5rem;margin:1.2rem 0 .4rem;
padding:0}
.facts div{border-top:2px solid var(--rule);padding-top:.45rem}
.facts dt{color:var(--soft);font-size:.8125rem}
.facts dd{margin:0;font-size:1.18rem;font-variant-numeric:tabular-nums}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1.7rem 1.6rem;
align-items:start}
figure{margin:0;min-width:0;break-inside:avoid} figure+figure{margin-top:1.5rem}
.grid>figure+figure{margin-top:0}
figure>p{color:var(--soft);font-size:.84rem;margin:.15rem 0 .5rem}
svg{display:block;width:100%;max-width:25rem;height:auto;overflow:visible}
svg text{font:12.5px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--ink);
font-variant-numeric:tabular-nums}
svg .soft{fill:var(--soft)}
svg .grid{stroke:var(--rule);stroke-width:1;display:inline}
.own{fill:var(--own)} .other{fill:var(--other)} .warm{fill:var(--warm)} .good{fill:var(--good)}
.pale{fill:var(--rule)}
svg .ring{fill:var(--paper);stroke:var(--warm);stroke-width:2}
svg .faint{fill:var(--other);fill-opacity:.35}
svg path{fill:none!important;stroke-width:2;stroke:var(--own);stroke-linejoin:round}
svg path.no{stroke:var(--warm)}
svg path.even,svg line.even{stroke:var(--other);stroke-width:1.5;stroke-dasharray:4 4}
svg line.gap{stroke:var(--other);stroke-width:1.5}
svg line.span{stroke-width:3;stroke-opacity:.55;stroke:var(--own)} svg line.span.other{stroke:var(--other)}
.scroll{overflow-x:auto;max-width:100%;position:relative}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--own);outline-offset:2px}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;width:100%;
overflow-wrap:normal} tbody th,td code{overflow-wrap:anywhere}
.caption{color:var(--soft);font-size:.8125rem;margin:0 0 .3rem}
th,td{padding:.36rem .8rem .36rem 0;border-bottom:1px solid var(--rule);vertical-align:top;text-align:left}
th{font-weight:500} thead th{color:var(--soft);font-weight:400;vertical-align:bottom}
.number{text-align:right;white-space:nowrap;overflow-wrap:normal}
th:last-child,td:last-child{padding-right:0}
tbody th{min-width:8rem}
tr.own th,tr.own td,b{font-weight:650}
.best{color:var(--good);font-weight:650}
.matrix td{text-align:center;white-space:nowrap;padding:.36rem .5rem;
background:color-mix(in srgb,var(--own) calc(var(--share)*38%),transparent)}
.matrix{width:auto} .matrix td,.matrix thead th{min-width:4.6rem} .matrix br+*{color:var(--ink)}
.matrix thead th{text-align:center;padding:.36rem .5rem;max-width:9rem;overflow-wrap:break-word}
.matrix tbody th{padding-right:.8rem}
details{margin-top:.9rem} summary{cursor:pointer;color:var(--own);font-size:.875rem;width:fit-content}
details>*+*{margin-top:.6rem}
ul{margin:0;padding-left:1.15rem;max-width:46rem} li{margin-bottom:.45rem}
.found{list-style:none;padding:0}
.found li{border-left:3px solid var(--warm);padding-left:.8rem;margin-bottom:.7rem;max-width:46rem}
footer{color:var(--soft);font-size:.8125rem;padding-top:.6rem;padding-bottom:3rem}
@media (max-width:34rem){section{padding:1.1rem 1rem;border-radius:8px} header{padding-top:1.6rem}}
@media print{body{background:#fff;font-size:10.5pt} section{border:0;padding:0;break-inside:auto}
h2,h3{break-after:avoid} summary{display:none} details::details-content{content-visibility:visible;display:block}
.scroll{overflow:visible} svg{max-width:24rem}}
"""

SHEET = (
    f":root{{color-scheme:light dark;{_colours(LIGHT)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}"
    f"@media print{{:root{{{_colours({**LIGHT, 'ground': '#ffffff'})}}}}}"
    f"{_RULES}"
)
"""The whole sheet. Nothing in it is fetched from anywhere."""
