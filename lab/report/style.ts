/** The look of pages and pictures, for light and dark surroundings. */
const colours = `
:root { color-scheme: light dark; --text: #1d2330; --soft: #5b6474; --page: #f6f7f9; --card: #fff; --line: #d9dde4; --good: #1a7f43; --bad: #c62f35; --stage: #7f8db0; --machine: #4f7fc8; --step: #3f9f6b; --fault: #c98a1b; --code: #f0f2f5; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7ee; --soft: #9aa4b5; --page: #14171d; --card: #1c2029; --line: #343a47; --good: #5cc98a; --bad: #ff7b7f; --stage: #7d8bb0; --machine: #6c9be0; --step: #4caf7b; --fault: #e0a53a; --code: #12151b; } }
`;

/** Of a topology's lines, boxes and labels. */
const topology = `
svg text { fill: var(--text); font: 12px system-ui, sans-serif; } svg .machine-role { fill: var(--soft); font-size: 11px; }
.network { stroke: var(--machine); stroke-width: 3; } .network.wire { stroke-width: 2; } .network-name, .network-subnets { text-anchor: end; } svg :is(.network-name, .wire-name) { font-weight: 600; } svg :is(.network-subnets, .wire-subnet) { fill: var(--soft); font-size: 11px; } .link { stroke: var(--soft); } .port { fill: var(--machine); } .ground { fill: var(--card); }
.machine:is(rect):not(.bar) { fill: var(--code); stroke: var(--soft); } svg .machine-name { text-anchor: middle; font-weight: 600; } .machine-role { text-anchor: middle; } svg .address { font: 11px ui-monospace, monospace; }
`;

/** The look of a picture in a file of its own. */
export const pictureStyle = `${colours}${topology}`;

/** The look of a page. */
export const style = `${colours}${topology}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 24px 20px; font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); }
h1 { margin: 0; font-size: 26px; } h2 { margin: 0 0 4px; font-size: 19px; } h3 { margin: 22px 0 6px; font-size: 15px; }
small, .summary, header p, footer, .place, .code { color: var(--soft); font-size: 13px; font-weight: normal; }
h1.done, h2.done, li.done > .sign, tr.done .sign { color: var(--good); } h1.failed, h2.failed, li.failed > .sign, tr.failed td { color: var(--bad); }
section, nav { margin: 20px 0; padding: 18px 20px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
p { margin: 4px 0; overflow-wrap: anywhere; } .summary { font-size: 14px; }
.steps { margin: 10px 0; padding: 0; list-style: none; } .steps .steps { margin: 2px 0 4px 24px; } .steps li { padding: 2px 0; } .sign { display: inline-block; width: 1.2em; }
.said { margin: 0 0 4px 1.2em; padding: 0; list-style: none; color: var(--soft); font-size: 13px; } .steps .said li { padding: 0; } .said li { overflow-wrap: anywhere; }
.error { margin: 8px 0 12px; padding: 10px 14px; border-left: 3px solid var(--bad); background: var(--code); border-radius: 0 6px 6px 0; } .error .code { font-family: ui-monospace, monospace; font-size: 12px; }
pre { margin: 8px 0; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; } pre, code { font: 12.5px/1.45 ui-monospace, monospace; }
a { color: var(--machine); } .wide { overflow-x: auto; }
svg { display: block; } .topology { max-width: 100%; height: auto; }
.tick { stroke: var(--line); } svg .tick-label, svg .took { fill: var(--soft); font-size: 11px; } .tick-label { text-anchor: middle; } .took.before { text-anchor: end; }
.bar.stage { fill: var(--stage); } .bar.machine { fill: var(--machine); } .bar.step { fill: var(--step); } .bar.fault { fill: var(--fault); } .bar.failed { fill: var(--bad); } .bar.running { opacity: .5; } .mark { stroke: var(--card); stroke-width: 2; }
table { border-collapse: collapse; margin-top: 8px; } th, td { padding: 2px 18px 2px 0; text-align: left; vertical-align: top; font-size: 13px; } td:not(:last-child) { white-space: nowrap; } summary { cursor: pointer; color: var(--soft); } li.warning { color: var(--bad); }
footer { margin-top: 24px; }
`;
