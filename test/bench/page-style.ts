/** The look of both pages of the bench. Colours keep a contrast of 3 to 1 as areas and 4.5 to 1 as text, light and dark. */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6575; --paper: #fff; --rule: #d5dae3; --good: #0b6e6e; --bad: #b42318;
  --c0: #0b6e6e; --c1: #b87400; --c2: #8f4a9c; --c3: #4a6fa5; --c4: #c2475b; --c5: #7a8496; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #a3adbd; --paper: #12161d; --rule: #2f3846; --good: #3cc4c4; --bad: #ff8a7a;
    --c0: #2cb5b5; --c1: #e0a030; --c2: #c98bd6; --c3: #86abe0; --c4: #ee8598; --c5: #98a2b3; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 820px; margin: 2.5rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem } h3 { font-size: .95rem; margin: 1.2rem 0 .2rem }
p, dl { color: var(--soft); margin: .3rem 0 } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: .87rem } dd { margin: 0 }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif } svg text { fill: var(--ink); font-variant-numeric: tabular-nums }
.c0 { color: var(--c0) } .c1 { color: var(--c1) } .c2 { color: var(--c2) } .c3 { color: var(--c3) } .c4 { color: var(--c4) } .c5 { color: var(--c5) }
rect, circle { fill: currentColor } .curve { fill: none; stroke: currentColor; stroke-width: 2 } .grid { stroke: var(--rule) } .spread { stroke: var(--ink); stroke-width: 1.5 }
.starttls { stroke-dasharray: 6 4 } .implicit { stroke-dasharray: 2 3 }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; background: currentColor } .key:first-child { margin-left: 0 }
pre { overflow-x: auto; font-size: 12px; border: 1px solid var(--rule); border-radius: 6px; padding: .8rem }
table { border-collapse: collapse; font-size: .87rem; width: 100% } td, th { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--rule) }
.good { color: var(--good) } .bad { color: var(--bad); font-weight: 600; white-space: pre-line }
`;
