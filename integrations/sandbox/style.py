"""The page's style sheet: one string, so that the page needs nothing from elsewhere."""

STYLE = """
:root { --ink: #1c2530; --soft: #55606e; --paper: #f6f7f9; --card: #fff; --line: #d9dee5; --accent: #0b5cad;
  --ok: #17693a; --bad: #a8261c; --warn: #8a5300; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #a3aebb; --paper: #12161c; --card: #1b212a;
  --line: #323b47; --accent: #7fb8f5; --ok: #6fd39a; --bad: #ff9b90; --warn: #f0bd6a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 16px; }
h1 { font-size: 24px; margin: 8px 0; } h2 { font-size: 18px; margin: 0 0 8px; } h3 { font-size: 15px; margin: 8px 0; }
p { margin: 4px 0; } header p, .cards p, .empty { color: var(--soft); }
a { color: var(--accent); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; margin: 16px 0; }
section h2:not(:first-child) { margin-top: 24px; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 6px 8px; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
.id { white-space: nowrap; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 8px 16px; margin: 8px 0; }
nav a[aria-current] { font-weight: 700; color: inherit; text-decoration: none; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 16px; }
button { font: inherit; font-weight: 600; min-height: 40px; padding: 6px 14px; border: 1px solid var(--accent);
  border-radius: 6px; background: transparent; color: var(--accent); cursor: pointer; }
button:hover, button:focus-visible { background: var(--accent); color: var(--card); }
button.danger { border-color: var(--bad); color: var(--bad); }
button.danger:hover, button.danger:focus-visible { background: var(--bad); color: var(--card); }
.status { font-weight: 600; white-space: nowrap; } .ok, .confirmed, .showed { color: var(--ok); }
.bad, .cancelled, .noshow, .invalid { color: var(--bad); } .new { color: var(--warn); }
meter { width: 96px; vertical-align: middle; }
.long { white-space: pre-line; max-width: 60ch; }
@media (min-width: 721px) { td { min-width: 88px; } }
@media (max-width: 720px) {
  main { padding: 8px; } section { padding: 12px; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  table, tbody, tr, td, th[scope=row] { display: block; width: 100%; }
  tr { border-bottom: 1px solid var(--line); padding: 6px 0; } td, th[scope=row] { border: 0; padding: 2px 0; }
  td:empty { display: none; }
  td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
}
"""
