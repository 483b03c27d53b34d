"""The look of the pages that jobs write and serving shows: light and dark, narrow and wide, nothing from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #5b6475; --line: #dfe3ea; --paper: #fff; --ground: #f5f6f8;
  --met: #1a7f4b; --met-ground: #e4f4ea; --broken: #b3261e; --broken-ground: #fce8e6; --failed: #8a5300;
  --failed-ground: #fdf0d9; --link: #1f5fbf }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf0; --soft: #9aa4b5; --line: #313846; --paper: #1a1f29;
  --ground: #12151c; --met: #6fd49c; --met-ground: #16321f; --broken: #ff8f86; --broken-ground: #401b18;
  --failed: #f2b95c; --failed-ground: #3a2a0e; --link: #8ab8ff } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -.01em }
h2 { font-size: 18px; margin: 0 0 4px; display: flex; gap: 12px; align-items: center; flex-wrap: wrap }
p { margin: 0 0 8px } a { color: var(--link) }
.summary { font-size: 17px; margin-bottom: 20px } .summary.met { color: var(--met) }
.summary.broken { color: var(--broken) }
.told, footer { color: var(--soft) } footer { margin-top: 28px; font-size: 13px }
section, .overview { background: var(--paper); border: 1px solid var(--line); border-radius: 10px }
section { padding: 18px 20px; margin-top: 16px; scroll-margin-top: 12px }
.wide { overflow-x: auto }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 14px }
th, td { text-align: left; vertical-align: top; padding: 7px 12px; border-bottom: 1px solid var(--line) }
tr:last-child td { border-bottom: 0 }
th { color: var(--soft); font-weight: 500; font-size: 13px; white-space: nowrap }
.number { text-align: right; font-variant-numeric: tabular-nums }
td:first-child, .mark { white-space: nowrap }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
details { margin-top: 8px } summary { cursor: pointer; color: var(--link) }
.mark { font-size: 13px; font-weight: 500; padding: 1px 9px; border-radius: 10px }
.mark.met { color: var(--met); background: var(--met-ground) }
.mark.broken { color: var(--broken); background: var(--broken-ground) }
.mark.failed { color: var(--failed); background: var(--failed-ground) }
.why { color: var(--failed); font-size: 13px }
svg { display: block; margin-top: 3px } rect.met { fill: var(--met) } rect.broken { fill: var(--broken) }
"""
