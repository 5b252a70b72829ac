'use strict';
// Errors are shown, and left on the document for whoever drives the page.
addEventListener('error', e => {
  document.documentElement.dataset.error = e.message;
  document.body.append(el('div', {id: 'error'}, 'This page has a fault: ' + e.message));
});

const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

function el(name, attrs, ...children) {
  const e = document.createElement(name);
  for (const k in attrs || {}) e.setAttribute(k, attrs[k]);
  e.append(...children);
  return e;
}
function svg(name, attrs, text) {
  const e = document.createElementNS(SVG, name);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  if (text !== undefined) e.textContent = text;
  return e;
}
// tail keeps the end of a long name, which tells the names of one model apart.
const tail = (s, n) => s.length <= n ? s : '…' + s.slice(s.length - n + 1);
const label = n => n.op === 'output' ? n.loc[0] : n.id;
const search = n => [n.id, n.op].concat(n.loc || []).join('\n').toLowerCase();

// The graph at a step, and what became of its nodes since the last and until the next.
let current = 0, selected = null, boxes = new Map(), at = new Map();
const byId = data.steps.map(s => new Map(s.nodes.map(i => [data.nodes[i].id, i])));

function mark(step, i) {
  const n = data.nodes[i];
  if (step > 0) {
    const was = byId[step - 1].get(n.id);
    if (was === undefined) return 'added';
    if (was !== i) return 'changed';
  }
  if (step + 1 < data.steps.length && !byId[step + 1].has(n.id)) return 'removed';
  return '';
}

function path(a, b) {
  const y1 = a.y + data.height / 2, y2 = b.y - data.height / 2;
  if (b.y - a.y <= data.stepY) {
    const m = (y1 + y2) / 2;
    return `M${a.x} ${y1}C${a.x} ${m} ${b.x} ${m} ${b.x} ${y2}`;
  }
  const side = Math.max(a.x, b.x) + data.width * 2 / 3 + Math.min(160, (b.y - a.y) / data.stepY * 6);
  return `M${a.x} ${y1}C${side} ${y1 + data.stepY / 2} ${side} ${y2 - data.stepY / 2} ${b.x} ${y2}`;
}

function draw(step) {
  current = step;
  const s = data.steps[step], nodes = document.createDocumentFragment(), edges = document.createDocumentFragment();
  boxes = new Map(); at = new Map();
  s.nodes.forEach((i, k) => {
    const n = data.nodes[i], x = s.at[2 * k], y = s.at[2 * k + 1];
    const g = svg('g', {class: 'node ' + mark(step, i), transform: `translate(${x} ${y})`});
    g.append(svg('rect', {x: -data.width / 2, y: -data.height / 2, width: data.width, height: data.height, rx: 5, fill: data.fills[n.kind]}),
      svg('text', {y: -2}, tail(n.op, 20)), svg('text', {y: 12, class: 'sub'}, tail(label(n), 26)), svg('title', {}, n.op + ' ' + n.id));
    g.dataset.id = n.id;
    boxes.set(n.id, g); at.set(n.id, {x, y});
    nodes.append(g);
  });
  for (const [a, b] of s.edges) {
    const from = data.nodes[s.nodes[a]].id, to = data.nodes[s.nodes[b]].id;
    const p = svg('path', {d: path(at.get(from), at.get(to))});
    p.dataset.from = from; p.dataset.to = to;
    edges.append(p);
  }
  $('nodes').replaceChildren(nodes); $('edges').replaceChildren(edges);
  $('title').textContent = (step ? step + '. after ' : '') + s.title;
  $('step').value = step;
  if (selected !== null && boxes.has(selected)) select(selected);
  find();
}

// The view: world coordinates times k, moved by x and y.
const view = {k: 1, x: 0, y: 0};
function apply() {
  $('world').setAttribute('transform', `translate(${view.x} ${view.y}) scale(${view.k})`);
  $('world').classList.toggle('far', view.k < 0.3);
}
function zoom(factor, px, py) {
  const k = Math.min(4, Math.max(0.005, view.k * factor));
  view.x = px - (px - view.x) * k / view.k; view.y = py - (py - view.y) * k / view.k; view.k = k;
  apply();
}
function box() { const r = $('view').getBoundingClientRect(); return {w: r.width || 800, h: r.height || 600, left: r.left, top: r.top}; }
function fit() {
  let w = 1, h = 1;
  for (const p of at.values()) { w = Math.max(w, p.x + data.width); h = Math.max(h, p.y + data.height); }
  const b = box();
  view.k = Math.min(1, b.w / w, b.h / h); view.x = (b.w - w * view.k) / 2; view.y = 0;
  apply();
}
// begin shows the top of the graph at a size that can be read.
function begin() {
  fit();
  const first = at.values().next().value;
  if (view.k < 0.5 && first) { view.k = 0.8; const b = box(); view.x = b.w / 2 - first.x * view.k; view.y = 0; apply(); }
}
function center(id) {
  const p = at.get(id), b = box();
  view.k = Math.max(view.k, 0.8); view.x = b.w / 2 - p.x * view.k; view.y = b.h / 2 - p.y * view.k;
  apply();
}

function link(id) { const a = el('a', {}, id); a.onclick = () => show(id); return a; }

// show brings a node to the middle, at the nearest step that has it.
function show(id) {
  id = holder(id);
  if (!boxes.has(id)) {
    let best = -1;
    byId.forEach((m, i) => { if (m.has(id) && (best < 0 || Math.abs(i - current) < Math.abs(best - current))) best = i; });
    if (best < 0) return;
    draw(best);
  }
  select(id); center(id);
}
// holder finds the node that computes a value: nodes are called after their first result.
function holder(value) {
  if (boxes.has(value)) return value;
  for (const n of data.nodes) if ((n.out || []).some(p => p.name === value)) return n.id;
  return value;
}

function select(id) {
  if (selected !== null && boxes.has(selected)) boxes.get(selected).classList.remove('selected');
  selected = id;
  boxes.get(id).classList.add('selected');
  for (const p of $('edges').children) p.classList.toggle('on', p.dataset.from === id || p.dataset.to === id);
  const n = data.nodes[byId[current].get(id)], d = $('details');
  d.replaceChildren(el('h2', {}, n.op, el('small', {}, label(n))));
  const group = (title, rows) => { if (rows.length) d.append(el('h3', {}, title), ...rows); };
  const port = p => el('p', {}, p.const ? p.name : link(p.name), el('br'), el('code', {}, (p.type || '') + (p.const && p.const !== p.name ? '  ' + p.const : '')));
  const what = {added: 'new in this step', changed: 'changed in this step', removed: 'gone after the next pass'}[mark(current, byId[current].get(id))];
  if (what) d.append(el('p', {}, what));
  group('reads', (n.in || []).map(port));
  group('computes', (n.out || []).map(port));
  group('attributes', (n.attrs || []).map(f => el('p', {}, f.name + ' ', el('code', {}, f.value))));
  group('location: nodes of the source model', (n.loc || []).map(l => el('p', {}, l)));
  const costs = [];
  if (n.macs) costs.push(el('p', {}, 'FLOPs: 2 × ', el('code', {}, n.macs)));
  if (n.bytes) costs.push(el('p', {}, 'result bytes: ', el('code', {}, n.bytes)));
  if (n.params) costs.push(el('p', {}, 'constants: ', el('code', {}, n.params.toLocaleString('en') + ' elements, ' + n.weights.toLocaleString('en') + ' bytes')));
  group('costs', costs);
}

const mostHits = 60;
function find() {
  const q = $('search').value.trim().toLowerCase(), list = $('hits');
  list.replaceChildren();
  $('found').textContent = '';
  if (!q) return;
  const hits = data.steps[current].nodes.map(i => data.nodes[i]).filter(n => search(n).includes(q));
  $('found').textContent = hits.length + ' found';
  for (const n of hits.slice(0, mostHits)) {
    const li = el('li', {}, el('b', {}, n.op), label(n));
    li.dataset.id = n.id;
    li.onclick = () => { list.replaceChildren(); show(n.id); };
    list.append(li);
  }
}
// findFirst goes to the exact match, else to the first.
function findFirst() {
  find();
  const q = $('search').value.trim(), items = [...$('hits').children];
  const hit = items.find(li => li.dataset.id === q) || items[0];
  if (hit) hit.click();
}

// order compares cells: numbers largest first, text by the alphabet.
const number = c => c === '∞' ? Infinity : c === '-∞' || c === 'NaN' ? -Infinity : c;
function order(a, b) {
  a = number(a); b = number(b);
  return typeof a === 'number' && typeof b === 'number' ? (a < b) - (a > b) : String(a).localeCompare(String(b));
}
function table(t) {
  const body = el('tbody'), head = el('tr');
  const fill = rows => body.replaceChildren(...rows.map(r => el('tr', {}, ...r.map((c, i) => {
    const digits = typeof c === 'number';
    return el('td', digits ? {class: 'number'} : {}, digits ? c.toLocaleString('en', {maximumSignificantDigits: Number.isInteger(c) ? 21 : 5}) : i === t.node && data.steps.length ? link(c) : c);
  }))));
  t.columns.forEach((c, i) => {
    const th = el('th', {}, c);
    let way = -1;
    th.onclick = () => { way = -way; fill([...t.rows].sort((a, b) => way * order(a[i], b[i]))); };
    head.append(th);
  });
  fill(t.rows);
  $('tables').append(el('div', {class: 'table'}, el('h2', {}, t.title), el('table', {}, el('thead', {}, head), body)));
}

function start() {
  for (const f of data.facts || []) $('facts').append(el('div', {}, el('dt', {}, f.name), el('dd', {}, f.value)));
  for (const t of data.tables || []) table(t);
  if (!data.steps.length) { $('graph').remove(); return; }
  $('step').max = data.steps.length - 1;
  $('slide').hidden = $('legend').hidden = data.steps.length < 2;
  $('step').oninput = e => draw(+e.target.value);
  $('search').oninput = find;
  $('search').onkeydown = e => { if (e.key === 'Enter') findFirst(); if (e.key === 'Escape') { e.target.value = ''; find(); } };
  $('in').onclick = () => zoom(1.3, box().w / 2, box().h / 2);
  $('out').onclick = () => zoom(1 / 1.3, box().w / 2, box().h / 2);
  $('fit').onclick = fit;
  const v = $('view');
  v.addEventListener('wheel', e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * 0.0015), e.clientX - box().left, e.clientY - box().top); }, {passive: false});
  let grip = null, moved = false;
  v.onpointerdown = e => { grip = {x: e.clientX - view.x, y: e.clientY - view.y, px: e.clientX, py: e.clientY}; moved = false; };
  v.onpointermove = e => {
    if (!grip) return;
    if (!moved && Math.hypot(e.clientX - grip.px, e.clientY - grip.py) < 4) return;
    if (!moved) { moved = true; v.setPointerCapture(e.pointerId); v.classList.add('drag'); }
    view.x = e.clientX - grip.x; view.y = e.clientY - grip.y; apply();
  };
  v.onpointerup = v.onpointercancel = () => { grip = null; v.classList.remove('drag'); };
  v.onclick = e => { const g = e.target.closest('.node'); if (g && !moved) select(g.dataset.id); };
  addEventListener('keydown', e => { if (e.key === '/' && document.activeElement !== $('search')) { e.preventDefault(); $('search').focus(); } });
  draw(0); begin();
  // report.html#step=3&find=conv1 opens at a step and a node.
  const want = new URLSearchParams(location.hash.slice(1));
  if (want.has('step')) { draw(Math.min(data.steps.length - 1, Math.max(0, Number(want.get('step')) || 0))); begin(); }
  if (want.has('find')) { $('search').value = want.get('find'); findFirst(); }
}
start();
document.documentElement.dataset.ready = data.steps.length;
