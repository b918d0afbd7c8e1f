'use strict';
// The ledger as the page carries it: columns over a tree in the order of a walk. Everything that comes from the image
// is set as text, never as markup.
document.documentElement.classList.add('js');
const data = JSON.parse(document.getElementById('data').textContent);
const ledger = data.ledger;
const total = ledger.depths.length;
const names = ledger.names.split('/');
const parents = new Int32Array(total);
const paths = new Array(total);
const field = id => document.getElementById(id);

{
  const above = [];
  for (let node = 0; node < total; node += 1) {
    const depth = ledger.depths[node];
    parents[node] = depth === 0 ? -1 : above[depth - 1];
    paths[node] = depth === 0 ? '/' : (depth === 1 ? '' : paths[parents[node]]) + '/' + names[node];
    above[depth] = node;
  }
}

const classOf = node => ledger.classes[ledger.class_of[node]];
const useOf = node => ledger.uses[ledger.use_of[node] - 1];
const ownersOf = node => classOf(node).packages.map(owner => ledger.packages[owner]);

function sizeText(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0, value = bytes;
  while (value >= 999.95 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`;
}

const countText = count => count.toLocaleString('en');

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function options(id, values) {
  field(id).append(...values.map(([value, text]) => {
    const option = element('option', text);
    option.value = value;
    return option;
  }));
}
