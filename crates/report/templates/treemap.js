// The map: a field for each directory or package, as large as its bytes or files, coloured for the part that stays.
const map = { view: 'directory', measure: 'bytes', side: 'all', way: [] };
const MOST_TILES = 120, MOST_INNER = 40, HEAD = 18, LEVELS = 3;

// Kept and removed bytes and files beneath each node, in one walk from the last to the first.
const sums = ['keptBytes', 'goneBytes', 'keptFiles', 'goneFiles'].map(() => new Float64Array(total));
const children = Array.from({ length: total }, () => null);
for (let node = total - 1; node >= 0; node -= 1) {
  const entry = classOf(node), up = parents[node];
  if (entry && entry.kind !== 'directory') {
    sums[entry.keep ? 0 : 1][node] += ledger.sizes[node];
    sums[entry.keep ? 2 : 3][node] += 1;
  }
  if (up < 0) continue;
  sums.forEach(sum => { sum[up] += sum[node]; });
  (children[up] ||= []).push(node);
}

// An area: its name, its sums, what is in it, and how it is found in the ledger.
function place(node) {
  return {
    name: node === 0 ? '/' : names[node], title: paths[node], sums: sums.map(sum => sum[node]),
    inner: children[node] && (() => children[node].map(place)), find: { search: paths[node] },
  };
}

function packagesRoot() {
  const areas = new Map();
  for (let node = 0; node < total; node += 1) {
    const entry = classOf(node);
    if (!entry || entry.kind === 'directory') continue;
    const owner = entry.packages.length ? entry.packages[0] : -1;
    let area = areas.get(owner);
    if (!area) {
      const name = owner < 0 ? 'no package' : ledger.packages[owner];
      area = { name, title: name, sums: [0, 0, 0, 0], nodes: [], find: owner < 0 ? null : { package: String(owner) } };
      area.inner = () => area.nodes.map(file => ({ ...place(file), name: paths[file] }));
      areas.set(owner, area);
    }
    area.nodes.push(node);
    area.sums[entry.keep ? 0 : 1] += ledger.sizes[node];
    area.sums[entry.keep ? 2 : 3] += 1;
  }
  return { name: 'packages', title: 'all packages', sums: sums.map(sum => sum[0]), inner: () => [...areas.values()], find: {} };
}

const roots = {};
const rootOf = view => roots[view] ||= view === 'directory' ? place(0) : packagesRoot();

function weight(area) {
  const from = map.measure === 'bytes' ? 0 : 2;
  const kept = area.sums[from], gone = area.sums[from + 1];
  return { kept, gone, all: kept + gone, shown: map.side === 'kept' ? kept : map.side === 'gone' ? gone : kept + gone };
}

// The areas in another that have a size, largest first; the many small ones as one.
function parts(area, most) {
  const found = area.inner().map(part => [part, weight(part).shown]).filter(([, size]) => size > 0);
  found.sort((a, b) => b[1] - a[1]);
  const areas = found.map(([part]) => part);
  areas.forEach(part => { part.up = area; });
  if (areas.length <= most) return areas;
  const rest = areas.splice(most - 1);
  const sum = [0, 1, 2, 3].map(at => rest.reduce((sum, part) => sum + part.sums[at], 0));
  const name = `${countText(rest.length)} smaller ones`;
  areas.push({ name, title: `${name} in ${area.title}`, sums: sum, inner: () => rest, find: null, up: area });
  return areas;
}

// Squarified: rows of fields along the shorter side, each row as long as its fields get more square by it.
function squarify(items, box) {
  const out = [];
  let { x, y, w, h } = box, at = 0;
  let left = items.reduce((sum, item) => sum + item.size, 0);
  while (at < items.length && left > 0 && w > 0 && h > 0) {
    const side = Math.min(w, h), scale = w * h / left;
    let sum = 0, worst = Infinity, end = at;
    for (; end < items.length; end += 1) {
      const next = sum + items[end].size, deep = next * scale / side;
      const ratio = size => { const long = size * scale / deep; return Math.max(long / deep, deep / long); };
      const worse = Math.max(ratio(items[at].size), ratio(items[end].size));
      if (worse > worst) break;
      worst = worse;
      sum = next;
    }
    const deep = sum * scale / side;
    let along = 0;
    for (; at < end; at += 1) {
      const long = items[at].size * scale / deep;
      out.push([items[at], w < h ? { x: x + along, y, w: long, h: deep } : { x, y: y + along, w: deep, h: long }]);
      along += long;
    }
    if (w < h) { y += deep; h -= deep; } else { x += deep; w -= deep; }
    left -= sum;
  }
  return out;
}

function describe(area) {
  const { kept, all } = weight(area), text = map.measure === 'bytes' ? sizeText : countText;
  const what = map.measure === 'bytes' ? '' : all === 1 ? ' file' : ' files';
  return `${area.title}: ${text(kept)} of ${text(all)}${what} stay${all === 1 ? 's' : ''} (${all ? Math.round(kept / all * 100) : 0} %)`;
}

function tile(area, box, isGroup) {
  const { kept, all } = weight(area), share = all ? kept / all : 0;
  const button = element('button', undefined, isGroup ? 'tile group' : 'tile');
  button.type = 'button';
  button.tabIndex = -1;
  const words = describe(area);
  button.setAttribute('aria-label', words);
  button.title = words;
  Object.assign(button.style, { left: `${box.x}px`, top: `${box.y}px`, width: `${box.w}px`, height: `${box.h}px` });
  if (!isGroup) button.style.setProperty('--share', `${(share * 100).toFixed(2)}%`);
  if (box.w > 34 && box.h > 14) button.append(element('span', isGroup ? `${area.name} · ${Math.round(share * 100)} %` : area.name));
  button.addEventListener('click', () => enter(area));
  button.addEventListener('focus', () => { field('map-status').textContent = words; });
  return button;
}

// Fields with room show what is in them, `levels` deep.
function fields(area, box, most, levels) {
  const items = parts(area, most).map(part => ({ part, size: weight(part).shown }));
  return squarify(items, box).flatMap(([{ part }, at]) => {
    if (at.w < 2 || at.h < 2) return [];
    if (!levels || !part.inner || at.w < 80 || at.h < 60) return [tile(part, at, false)];
    const inner = { x: at.x + 2, y: at.y + HEAD + 1, w: at.w - 4, h: at.h - HEAD - 3 };
    return [tile(part, at, true), ...fields(part, inner, MOST_INNER, levels - 1)];
  });
}

function drawMap() {
  const box = field('map'), at = map.way[map.way.length - 1];
  const had = box.contains(document.activeElement);
  const tiles = fields(at, { x: 0, y: 0, w: box.clientWidth, h: box.clientHeight }, MOST_TILES, LEVELS);
  box.replaceChildren(...tiles);
  if (tiles.length) tiles[0].tabIndex = 0;
  if (!tiles.length) box.append(element('p', 'Nothing of this sort is here.', 'quiet'));
  field('crumbs').replaceChildren(...map.way.map((area, depth) => {
    const item = element('li'), last = depth === map.way.length - 1;
    const crumb = element(last ? 'span' : 'button', area.name, last ? 'path' : 'link path');
    if (last) crumb.setAttribute('aria-current', 'location');
    else { crumb.type = 'button'; crumb.addEventListener('click', () => goTo(depth)); }
    item.append(crumb);
    return item;
  }));
  field('map-status').textContent = describe(at);
  if (had && tiles.length) tiles[0].focus();
}

function enter(area) {
  if (area.inner) {
    const way = [];
    for (let at = area; at && at !== map.way[map.way.length - 1]; at = at.up) way.unshift(at);
    map.way.push(...way);
    // Directories that hold nothing but another are passed through.
    for (let only = parts(area, 2); only.length === 1 && only[0].inner; only = parts(only[0], 2)) map.way.push(only[0]);
    drawMap();
  } else if (area.find) {
    showInLedger(area.find);
  }
}

function goTo(depth) {
  map.way.length = depth + 1;
  drawMap();
}

// The nearest field in a direction, by the middles.
function neighbour(from, key) {
  const middle = tile => ({ x: tile.offsetLeft + tile.offsetWidth / 2, y: tile.classList.contains('group') ? tile.offsetTop + HEAD / 2 : tile.offsetTop + tile.offsetHeight / 2 });
  const at = middle(from), [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
  let best = null, least = Infinity;
  for (const tile of field('map').querySelectorAll('.tile')) {
    const to = middle(tile), along = (to.x - at.x) * dx + (to.y - at.y) * dy;
    if (tile === from || along <= 1) continue;
    const cost = along + 3 * Math.abs((to.x - at.x) * dy + (to.y - at.y) * dx);
    if (cost < least) [best, least] = [tile, cost];
  }
  return best;
}

field('map').addEventListener('keydown', event => {
  const from = document.activeElement;
  if (event.key === 'Backspace' || event.key === 'Escape') {
    if (map.way.length < 2) return;
    event.preventDefault();
    goTo(map.way.length - 2);
  } else if (event.key.startsWith('Arrow') && from.classList.contains('tile')) {
    event.preventDefault();
    const to = neighbour(from, event.key);
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
});

for (const name of ['view', 'measure', 'side']) {
  document.querySelectorAll(`input[name=${name}]`).forEach(input => input.addEventListener('change', () => {
    map[name] = input.value;
    if (name === 'view' || !map.way.length) map.way = [rootOf(map.view)];
    drawMap();
  }));
}
map.way = [rootOf('directory')];
new ResizeObserver(() => drawMap()).observe(field('map'));
