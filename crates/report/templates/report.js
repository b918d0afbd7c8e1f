'use strict';
// Everything that comes from the image is set as text, never as markup.
const data = JSON.parse(document.getElementById('data').textContent);
const byPath = new Map(data.entries.map(entry => [entry.path, entry]));
const field = id => document.getElementById(id);
const PAGE = 200;
let shown = PAGE;
let found = [];

function sizeText(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0, value = bytes;
  while (value >= 999.95 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`;
}

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

// The chain of reasons from a path up to what was observed.
function reasons(entry) {
  const lines = [], seen = new Set();
  for (let at = entry; at && !seen.has(at.path); at = byPath.get(at.because)) {
    seen.add(at.path);
    let line = `${at.path}: ${data.rules[at.rule]}`;
    if (at.because) line += ` Needed by ${at.because}.`;
    if (at.evidence) line += ` ${at.evidence}.`;
    lines.push(line);
  }
  return lines;
}

function toggleReasons(row, entry) {
  const cell = row.firstChild, open = cell.querySelector('.why');
  if (open) { open.remove(); return; }
  const list = element('ul', undefined, 'why');
  reasons(entry).forEach(line => list.append(element('li', line)));
  cell.append(list);
}

function rowOf(entry) {
  const row = element('tr'), path = element('th');
  path.scope = 'row';
  const button = element('button', entry.path, 'link path');
  button.type = 'button';
  button.title = 'Show the chain of reasons';
  button.addEventListener('click', () => toggleReasons(row, entry));
  path.append(button);
  const decision = element('td', entry.keep ? 'kept' : 'removed', entry.keep ? 'keep' : 'remove');
  row.append(path, decision, element('td', entry.rule), element('td', entry.kind === 'file' ? sizeText(entry.size) : entry.kind),
    element('td', entry.packages.join(', '), 'text'), element('td', entry.evidence || '', 'text'));
  return row;
}

function draw() {
  field('rows').replaceChildren(...found.slice(0, shown).map(rowOf));
  const bytes = found.reduce((sum, entry) => sum + entry.size, 0);
  field('count').textContent = `${found.length.toLocaleString('en')} paths, ${sizeText(bytes)}`
    + (found.length > shown ? `; the first ${shown} are shown` : '');
  field('more').hidden = found.length <= shown;
}

function search() {
  const text = field('search').value.toLowerCase(), decision = field('decision').value;
  const rule = field('rule').value, owner = field('package').value;
  found = data.entries.filter(entry => (!text || entry.path.toLowerCase().includes(text))
    && (!decision || entry.keep === (decision === 'keep'))
    && (!rule || entry.rule === rule)
    && (!owner || entry.packages.includes(owner)));
  if (field('order').value === 'size') found.sort((a, b) => b.size - a.size);
  shown = PAGE;
  draw();
}

function options(id, values) {
  values.forEach(value => { const option = element('option', value); option.value = value; field(id).append(option); });
}

options('rule', [...new Set(data.entries.map(entry => entry.rule))].sort());
options('package', [...new Set(data.entries.flatMap(entry => entry.packages))].sort());
for (const id of ['search', 'decision', 'rule', 'package', 'order']) field(id).addEventListener('input', search);
field('more').addEventListener('click', () => { shown += 5 * PAGE; draw(); });
for (const [attribute, id] of [['rule', 'rule'], ['package', 'package']]) {
  document.querySelectorAll(`[data-${attribute}]`).forEach(button => button.addEventListener('click', () => {
    for (const other of ['search', 'decision', 'rule', 'package']) field(other).value = '';
    field(id).value = button.dataset[attribute];
    search();
    field('ledger').scrollIntoView();
  }));
}
search();
