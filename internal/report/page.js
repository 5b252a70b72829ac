'use strict';
// Errors are shown, and left on the document for whoever drives the page.
addEventListener('error', e => {
  document.documentElement.dataset.error = e.message;
  document.body.append(el('div', {id: 'error'}, 'This page has a fault: ' + e.message));
});

const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);

// ---- making elements

function fill(e, attrs, children) {
  for (const k in attrs || {}) k.startsWith('on') ? e[k] = attrs[k] : e.setAttribute(k, attrs[k]);
  e.append(...children);
  return e;
}
const el = (name, attrs, ...children) => fill(document.createElement(name), attrs, children);
const svg = (name, attrs, ...children) => fill(document.createElementNS('http://www.w3.org/2000/svg', name), attrs, children);

// tail keeps the end of a long name, which tells the names of one model apart; head keeps the beginning.
const tail = (s, n) => s.length <= n ? s : '…' + s.slice(s.length - n + 1);
const head = (s, n) => s.length <= n ? s : s.slice(0, n - 1) + '…';
const label = n => n.op === 'output' ? n.loc[0] : n.id;
const type = n => ((n.out || [])[0] || (n.in || [])[0] || {type: ''}).type;
// score says how near a node is to what it should be; null where that was not measured, or is not what the page is about.
const scores = data.scores && new Map(Object.entries(data.scores));
const score = n => scores && scores.get(n.id) || null;
const fillOf = n => !scores ? data.fills[n.kind] : score(n) ? data.scale[score(n).shade].fill : null;
// ranked lists the scored nodes of this step, largest first.
const ranked = key => [...scores].filter(([id, v]) => byId[current].has(id) && v[key] > 0).sort(([, a], [, b]) => b[key] - a[key]);
const percent = x => x > 1e6 ? 'no signal' : (100 * x).toPrecision(2).replace(/e.*$/, m => '·10' + m.slice(1).replace('+', '').replace(/-?\d+/, e => [...e].map(c => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] || '⁻').join(''))) + ' %';
const count = (n, what) => n.toLocaleString('en') + ' ' + what + (n === 1 ? '' : 's');

// ---- the graph at a step, and what became of its nodes since the last and until the next

const passes = data.steps.some(s => s.pass);
const marks = {added: 'new', changed: 'changed', removed: passes ? 'gone after the next pass' : 'gone'};
const byId = data.steps.map(s => new Map(s.nodes.map(i => [data.nodes[i].id, i])));
let current = 0, selected = null, boxes = new Map(), at = new Map(), marked = [];

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

// path leads an edge through its lanes: from one to the next within the gap between layers, in a bow where it has none.
function path(a, b, lanes) {
  const half = data.height / 2, gap = data.gap, step = data.height + gap, end = b.y - half;
  let x = a.x, y = a.y + half;
  if (end - y > gap && !lanes.length) {
    const side = Math.max(a.x, b.x) + data.width;
    return `M${x} ${y}C${side} ${y + gap} ${side} ${end - gap} ${b.x} ${end}`;
  }
  let d = `M${x} ${y}`;
  const to = (lane, layers) => {
    if (lane !== x) d += `V${y}C${x} ${y + gap / 2} ${lane} ${y + gap / 2} ${lane} ${y + gap}`;
    x = lane;
    y += layers * step;
  };
  let passed = Math.floor((end - y) / step);
  for (let i = 0; i < lanes.length && passed > 0; i += 2) {
    to(lanes[i], Math.min(passed, lanes[i + 1]));
    passed -= lanes[i + 1];
  }
  to(b.x, 1);
  return d + `V${end}`;
}

function draw(step) {
  const held = anchor();
  current = step;
  const s = data.steps[step], nodes = document.createDocumentFragment(), edges = document.createDocumentFragment();
  boxes = new Map(); at = new Map(); marked = [];
  s.nodes.forEach((i, k) => {
    const n = data.nodes[i], x = s.at[2 * k], y = s.at[2 * k + 1], m = mark(step, i), v = score(n), fill = fillOf(n);
    const ink = v ? {style: 'fill:' + data.scale[v.shade].text} : {};
    const g = svg('g', {class: 'node ' + (scores ? v ? 'scored ' : 'unscored ' : '') + m, transform: `translate(${x} ${y})`},
      svg('rect', {x: -data.width / 2, y: -data.height / 2, width: data.width, height: data.height, rx: 6, ...(fill ? {fill} : {})}),
      svg('text', {y: -7, class: 'op', ...ink}, tail(n.op, 22)), svg('text', {y: 6, ...ink}, tail(label(n), 30)),
      svg('text', {y: 18, class: v ? 'score' : 'type', ...ink}, v ? v.text : head(type(n), 30)),
      svg('title', {}, n.op + ' ' + n.id));
    g.dataset.id = n.id;
    if (m) marked.push(n.id);
    boxes.set(n.id, g); at.set(n.id, {x, y, fill: fill || '#8889', mark: m});
    nodes.append(g);
  });
  for (const [a, b] of s.edges) {
    const from = data.nodes[s.nodes[a]].id, to = data.nodes[s.nodes[b]].id;
    const p = svg('path', {d: path(at.get(from), at.get(to), s.lanes[a] || [])});
    p.dataset.from = from; p.dataset.to = to;
    edges.append(p);
  }
  $('nodes').replaceChildren(nodes); $('edges').replaceChildren(edges);
  $('title').textContent = $('title').title = (s.pass ? `${step}. after ` : '') + s.title + ', ' + count(s.ops, 'op');
  $('step').value = step;
  const kinds = Object.keys(marks).map(m => [m, marked.filter(id => at.get(id).mark === m).length]).filter(([, n]) => n);
  $('legend').replaceChildren(...kinds.map(([m, n]) => el('span', {class: 'key ' + m}, el('i'), n + ' ' + marks[m])));
  $('previous').hidden = $('next').hidden = !marked.length;
  if (held && at.has(held.id)) { view.x = held.x - at.get(held.id).x * view.k; view.y = held.y - at.get(held.id).y * view.k; }
  selected !== null && boxes.has(selected) ? select(selected) : overview();
  apply();
  find();
}

// anchor is a node near the middle and its place on the screen, so that it stays there when the step changes.
function anchor() {
  const b = box(), mx = (b.w / 2 - view.x) / view.k, my = (b.h / 2 - view.y) / view.k;
  let best = null, least = Infinity;
  for (const [id, p] of at) {
    const d = id === selected ? -1 : Math.hypot(p.x - mx, p.y - my);
    if (d < least) { least = d; best = {id, x: p.x * view.k + view.x, y: p.y * view.k + view.y}; }
  }
  return best;
}

// ---- the view: world coordinates times k, moved by x and y

const view = {k: 1, x: 0, y: 0};
function apply() {
  $('world').setAttribute('transform', `translate(${view.x} ${view.y}) scale(${view.k})`);
  $('world').classList.toggle('far', view.k < 0.3);
  drawMap();
}
function zoom(factor, px, py) {
  const k = Math.min(4, Math.max(0.005, view.k * factor));
  view.x = px - (px - view.x) * k / view.k; view.y = py - (py - view.y) * k / view.k; view.k = k;
  apply();
}
const zoomMiddle = factor => zoom(factor, box().w / 2, box().h / 2);
function box() { const r = $('view').getBoundingClientRect(); return {w: r.width || 800, h: r.height || 600, left: r.left, top: r.top}; }
function extent() {
  let w = 1, h = 1;
  for (const p of at.values()) { w = Math.max(w, p.x + data.width); h = Math.max(h, p.y + data.height); }
  return {w, h};
}
function fit() {
  const {w, h} = extent(), b = box();
  view.k = Math.min(1, b.w / w, b.h / h); view.x = (b.w - w * view.k) / 2; view.y = 0;
  apply();
}
// begin shows the top of the graph at a size that can be read.
function begin() {
  fit();
  const first = at.values().next().value;
  if (view.k < 0.5 && first) { view.k = 0.85; view.x = box().w / 2 - first.x * view.k; view.y = 0; apply(); }
}
function center(p, k) {
  const b = box();
  view.k = k || view.k; view.x = b.w / 2 - p.x * view.k; view.y = b.h / 2 - p.y * view.k;
  apply();
}

// The map shows the whole graph and what part of it is in view.
const map = {w: 0, h: 0, k: 1};
function drawMap() {
  const c = $('map'), {w, h} = extent(), b = box(), ratio = window.devicePixelRatio || 1;
  c.hidden = w * view.k <= b.w && h * view.k <= b.h;
  if (c.hidden) return;
  map.k = Math.min((b.h - 22) / h, 90 / w);
  map.w = 100; map.h = Math.max(40, h * map.k);
  c.style.width = map.w + 'px'; c.style.height = map.h + 'px';
  c.width = map.w * ratio; c.height = map.h * ratio;
  const g = c.getContext('2d'), bw = Math.max(2, data.width * map.k), bh = Math.max(1, data.height * map.k), left = (map.w - w * map.k) / 2;
  g.scale(ratio, ratio);
  for (const p of at.values()) { g.fillStyle = p.fill; g.fillRect(left + p.x * map.k - bw / 2, p.y * map.k - bh / 2, bw, bh); }
  const style = getComputedStyle(document.documentElement), colour = {added: '--new', changed: '--changed', removed: '--gone'};
  for (const id of marked) { const p = at.get(id); g.fillStyle = style.getPropertyValue(colour[p.mark]); g.fillRect(p.mark === 'removed' ? 0 : map.w - 5, p.y * map.k - 1, 5, 2); }
  g.strokeStyle = style.getPropertyValue('--fg'); g.lineWidth = 1.5;
  g.strokeRect(Math.max(1, left - view.x / view.k * map.k), Math.max(1, -view.y / view.k * map.k),
    Math.min(map.w - 2, b.w / view.k * map.k), Math.max(4, Math.min(map.h - 2, b.h / view.k * map.k)));
}
function goOnMap(e) {
  const r = $('map').getBoundingClientRect(), {w} = extent();
  center({x: (e.clientX - r.left - (map.w - w * map.k) / 2) / map.k, y: (e.clientY - r.top) / map.k});
}

// ---- the panel: one operator, or the steps and colours

const link = id => el('a', {onclick: () => show(id)}, id.replace(/^output /, ''));

// show brings a node to the middle, at the nearest step that has it.
function show(id) {
  id = holder(id);
  if (!boxes.has(id)) {
    let best = -1;
    byId.forEach((m, i) => { if (m.has(id) && (best < 0 || Math.abs(i - current) < Math.abs(best - current))) best = i; });
    if (best < 0) return;
    draw(best);
  }
  select(id); center(at.get(id), Math.max(view.k, 0.85));
}
// holder finds the node that computes a value, or reads it where that is a constant: nodes are called after their first result.
function holder(value) {
  if (boxes.has(value)) return value;
  for (const ports of ['out', 'in']) for (const n of data.nodes) if ((n[ports] || []).some(p => p.name === value)) return n.id;
  return value;
}
// nextChange goes through the marked nodes from top to bottom.
function nextChange(way) {
  const order = [...marked].sort((a, b) => at.get(a).y - at.get(b).y || at.get(a).x - at.get(b).x);
  if (!order.length) return;
  const i = order.indexOf(selected);
  show(order[i < 0 ? (way > 0 ? 0 : order.length - 1) : (i + way + order.length) % order.length]);
}

function light(id) {
  if (selected !== null && boxes.has(selected)) boxes.get(selected).classList.remove('selected');
  selected = id;
  if (id !== null) boxes.get(id).classList.add('selected');
  for (const p of $('edges').children) p.classList.toggle('on', id !== null && (p.dataset.from === id || p.dataset.to === id));
}

function select(id) {
  light(id);
  const i = byId[current].get(id), n = data.nodes[i], d = $('details'), m = mark(current, i);
  const group = (title, rows) => { if (rows.length) d.append(el('h3', {}, title), ...rows); };
  const port = p => el('p', {}, p.const ? p.name : link(p.name), el('span', {class: 'type'}, (p.type || '') + (p.const && p.const !== p.name ? '  ' + p.const : '')));
  d.replaceChildren(el('h2', {}, n.op, el('small', {}, label(n))));
  if (m) d.append(el('span', {class: 'note key ' + m}, el('i'), m === 'removed' ? marks[m] : marks[m] + (passes ? ' in this pass' : '')));
  if (m === 'changed') {
    const was = data.nodes[byId[current - 1].get(id)];
    group('it was', [el('p', {}, was.op + '(' + (was.in || []).map(p => p.name).join(', ') + ')', el('span', {class: 'type'}, type(was)))]);
  }
  const v = score(n);
  if (v) {
    group('how near it is to the original', [el('p', {}, el('i', {class: 'swatch', style: 'background:' + data.scale[v.shade].fill}), 'SNR ', el('b', {}, v.text)),
      el('p', {}, v.added > 0 ? 'noise added here: ' + percent(v.added) : 'no noise is added here'), ...v.facts.map(f => el('p', {}, f.name + ' ', el('code', {}, f.value)))]);
  } else if (scores) d.append(el('p', {class: 'note'}, 'not compared: the original has no such value'));
  group('reads', (n.in || []).map(port));
  group('computes', (n.out || []).map(port));
  group('attributes', (n.attrs || []).map(f => el('p', {}, f.name + ' ', el('code', {}, f.value))));
  group('nodes of the source model', (n.loc || []).map(l => el('p', {}, l)));
  const costs = [];
  if (n.macs) costs.push(el('p', {}, 'FLOPs: 2 × ', el('code', {}, n.macs)));
  if (n.bytes) costs.push(el('p', {}, 'result bytes: ', el('code', {}, n.bytes)));
  if (n.params) costs.push(el('p', {}, 'constants: ', el('code', {}, count(n.params, 'element') + ', ' + count(n.weights, 'byte'))));
  group('costs', costs);
}

function overview() {
  light(null);
  const d = $('details'), s = data.steps[current], kinds = new Map();
  d.replaceChildren(el('p', {}, 'Click an operator for its types, attributes and costs. Drag to move, wheel to zoom.'));
  if (data.steps.length > 1) d.append(el('h3', {}, passes ? 'passes that changed something' : 'models'), el('table', {class: 'list'}, ...data.steps.map((s, i) =>
    el('tr', {class: i === current ? 'now' : '', onclick: () => draw(i)}, el('td', {class: 'number'}, s.pass ? i : ''), el('td', {}, s.title), el('td', {class: 'number'}, s.ops + ' ops')))));
  if (s.rules) d.append(el('h3', {}, 'what ' + s.title + ' did'), el('table', {class: 'list'}, ...s.rules.map(r =>
    el('tr', {}, el('td', {}, r.name), el('td', {class: 'number'}, count(r.count, 'time'))))));
  if (scores) return worst(d);
  for (const i of s.nodes) { const k = data.nodes[i].kind; kinds.set(k, (kinds.get(k) || 0) + 1); }
  d.append(el('h3', {}, 'colours'), el('table', {class: 'list'}, ...[...kinds].sort((a, b) => b[1] - a[1]).map(([k, n]) =>
    el('tr', {}, el('td', {}, el('i', {style: 'background:' + data.fills[k]})), el('td', {}, k), el('td', {class: 'number'}, n)))));
}

// worst lists the layers that add most noise, and those that are farthest off.
function worst(d) {
  const list = (title, rows, text) => { if (rows.length) d.append(el('h3', {}, title), el('table', {class: 'list'}, ...rows.slice(0, 10).map(([id, v]) =>
    el('tr', {onclick: () => show(id)}, el('td', {}, el('i', {class: 'swatch', style: 'background:' + data.scale[v.shade].fill})), el('td', {class: 'name', title: id}, tail(id.replace(/^output /, ''), 23)), el('td', {class: 'number'}, text(v)))))); };
  list('where the noise comes in', ranked('added'), v => percent(v.added));
  list('farthest from the original', ranked('noise'), v => v.text);
}
function drawScale() {
  const key = (swatch, text) => el('span', {class: 'key'}, swatch, text);
  if (scores) $('scale').append(el('b', {}, 'SNR in dB'), ...data.scale.map(s => key(el('i', {class: 'swatch', style: 'background:' + s.fill}), s.label)), key(el('i', {class: 'swatch none'}), 'not compared'));
}

// ---- search

const mostHits = 60;
const text = n => [n.id, n.op].concat(n.loc || []).join('\n').toLowerCase();
function find() {
  const q = $('search').value.trim().toLowerCase(), list = $('hits');
  list.replaceChildren();
  $('found').textContent = '';
  if (!q) return;
  const hits = data.steps[current].nodes.map(i => data.nodes[i]).filter(n => text(n).includes(q));
  $('found').textContent = hits.length + ' found';
  for (const n of hits.slice(0, mostHits)) {
    const li = el('li', {onclick: () => { list.replaceChildren(); show(n.id); }}, el('b', {}, n.op), label(n));
    li.dataset.id = n.id;
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

// ---- tables

// order compares cells: numbers largest first, text by the alphabet.
const number = c => c === '∞' ? Infinity : c === '-∞' || c === 'NaN' ? -Infinity : c;
function order(a, b) {
  a = number(a); b = number(b);
  return typeof a === 'number' && typeof b === 'number' ? (a < b) - (a > b) : String(a).localeCompare(String(b));
}
function digits(c) {
  if (c !== 0 && Math.abs(c) < 1e-3) return c.toExponential(2);
  return c.toLocaleString('en', {maximumSignificantDigits: Number.isInteger(c) ? 21 : 5});
}
function cell(t, r, i) {
  const c = r[i];
  if (typeof number(c) !== 'number') return el('td', {}, i === t.node && data.steps.length ? link(c) : c);
  const td = el('td', {class: 'number'}, typeof c === 'number' ? digits(c) : c);
  if (t.columns[i] === 'SNR dB' && scores && scores.has(r[0])) {
    td.classList.add('shade');
    td.prepend(el('i', {style: 'background:' + data.scale[scores.get(r[0]).shade].fill}));
  }
  if (t.columns[i] === 'share %') { td.classList.add('share'); td.style.setProperty('--part', 100 * c / Math.max(...t.rows.map(r => r[i])) + '%'); }
  return td;
}
function table(t) {
  const body = el('tbody'), row = el('tr');
  const put = rows => body.replaceChildren(...rows.map(r => el('tr', {}, ...r.map((c, i) => cell(t, r, i)))));
  t.columns.forEach((c, i) => {
    const numbers = t.rows.length > 0 && t.rows.every(r => typeof number(r[i]) === 'number');
    let way = -1;
    row.append(el('th', {class: numbers ? 'number' : '', title: 'sort', onclick: e => {
      way = -way;
      for (const h of row.children) h.classList.remove('up', 'down');
      e.target.classList.add(way > 0 ? 'down' : 'up');
      put([...t.rows].sort((a, b) => way * order(a[i], b[i])));
    }}, c));
  });
  put(t.rows);
  $('tables').append(el('div', {class: 'table'}, el('h2', {}, t.title), el('div', {}, el('table', {}, el('thead', {}, row), body))));
}

// ---- the hand

function listen() {
  const v = $('view'), m = $('map');
  v.addEventListener('wheel', e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * 0.0015), e.clientX - box().left, e.clientY - box().top); }, {passive: false});
  let grip = null, moved = false;
  v.onpointerdown = e => { grip = {x: e.clientX - view.x, y: e.clientY - view.y, px: e.clientX, py: e.clientY}; moved = false; };
  v.onpointermove = e => {
    if (!grip || !moved && Math.hypot(e.clientX - grip.px, e.clientY - grip.py) < 4) return;
    if (!moved) { moved = true; v.setPointerCapture(e.pointerId); v.classList.add('drag'); }
    view.x = e.clientX - grip.x; view.y = e.clientY - grip.y; apply();
  };
  v.onpointerup = v.onpointercancel = () => { grip = null; v.classList.remove('drag'); };
  v.onclick = e => { if (moved) return; const g = e.target.closest('.node'); g ? select(g.dataset.id) : overview(); };
  m.onpointerdown = e => { m.setPointerCapture(e.pointerId); goOnMap(e); };
  m.onpointermove = e => { if (m.hasPointerCapture(e.pointerId)) goOnMap(e); };
  const turn = by => draw(Math.min(data.steps.length - 1, Math.max(0, current + by)));
  $('step').oninput = e => draw(+e.target.value);
  $('back').onclick = () => turn(-1); $('on').onclick = () => turn(1);
  $('previous').onclick = () => nextChange(-1); $('next').onclick = () => nextChange(1);
  $('in').onclick = () => zoomMiddle(1.3); $('out').onclick = () => zoomMiddle(1 / 1.3); $('fit').onclick = fit;
  $('search').oninput = find;
  $('search').onkeydown = e => { if (e.key === 'Enter') findFirst(); if (e.key === 'Escape') { e.target.value = ''; find(); e.target.blur(); } };
  const keys = {'/': () => $('search').focus(), '+': () => zoomMiddle(1.3), '-': () => zoomMiddle(1 / 1.3), '0': fit,
    '[': () => turn(-1), ']': () => turn(1), n: () => nextChange(1), p: () => nextChange(-1), Escape: overview};
  addEventListener('keydown', e => {
    if (document.activeElement === $('search') || e.ctrlKey || e.metaKey || e.altKey || !keys[e.key]) return;
    e.preventDefault(); keys[e.key]();
  });
  addEventListener('resize', drawMap);
}

function start() {
  for (const f of data.facts || []) $('facts').append(el('div', {}, el('dt', {}, f.name), el('dd', {}, f.value)));
  for (const t of data.tables || []) table(t);
  if (!data.steps.length) { $('graph').remove(); return; }
  $('step').max = data.steps.length - 1;
  $('back').hidden = $('step').hidden = $('on').hidden = $('changes').hidden = data.steps.length < 2;
  listen();
  drawScale();
  // report.html#step=3&find=conv1 opens at a step and a node; #change=2 at the second change.
  const want = new URLSearchParams(location.hash.slice(1));
  draw(Math.min(data.steps.length - 1, Math.max(0, Number(want.get('step')) || 0)));
  begin();
  if (scores && !location.hash) { // the layer that broke it
    draw(data.steps.length - 1);
    const first = ranked('added')[0];
    if (first) show(first[0]);
  }
  if (want.has('find')) { $('search').value = want.get('find'); findFirst(); }
  for (let i = 0; i < Number(want.get('change')); i++) nextChange(1);
}
start();
document.documentElement.dataset.ready = data.steps.length;
