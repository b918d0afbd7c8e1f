// The ledger: every path, to be searched and filtered.
const lower = paths.map(path => path.toLowerCase());
const KINDS = { directory: 'directory', symlink: 'link', fifo: 'pipe', 'char-device': 'device', 'block-device': 'device' };
const FILTERS = ['search', 'decision', 'rule', 'package', 'process', 'step'];

function useText(use) {
  return `${use.kinds} by ${use.processes.join(', ') || 'an unknown process'} in step ${use.step}`;
}

const list = new List(field('list'), node => {
  const entry = classOf(node), use = useOf(node);
  return [
    [paths[node]], [entry.keep ? 'kept' : 'removed', entry.keep ? 'keep' : 'remove'], [entry.rule],
    [entry.kind === 'file' ? sizeText(ledger.sizes[node]) : KINDS[entry.kind] || entry.kind],
    [ownersOf(node).join(', ')], [use ? useText(use) : ''],
  ];
}, explain);

// The chain of reasons from a path up to what was observed.
function explain(node) {
  const entry = classOf(node), chain = element('ol'), seen = new Set();
  for (let at = node; at !== undefined && !seen.has(at) && classOf(at); at = ledger.because[at]) {
    seen.add(at);
    const use = useOf(at), because = ledger.because[at];
    let line = `: ${ledger.rules[classOf(at).rule]}`;
    if (because !== undefined) line += ` Needed by ${paths[because]}.`;
    if (use) line += ` Used: ${useText(use)} of ${use.coverage}.`;
    if (use && use.carried_from) line += ` In the recorded version it was ${use.carried_from}.`;
    const item = element('li');
    item.append(element('code', paths[at]), line);
    chain.append(item);
  }
  const facts = [entry.keep ? 'Kept' : 'Removed', KINDS[entry.kind] || `file of ${sizeText(ledger.sizes[node])}`, `layer ${entry.layer}`];
  const owners = ownersOf(node);
  if (owners.length) facts.push(`of ${owners.join(', ')}`);
  const title = element('h3');
  title.append(element('code', paths[node]));
  field('detail').replaceChildren(title, element('div', facts.join(', ')), chain);
}

function search() {
  const words = field('search').value.toLowerCase().split(' ').filter(word => word);
  const [decision, rule, owner, process, step] = FILTERS.slice(1).map(id => field(id).value);
  const fits = ledger.classes.map(entry => (!decision || entry.keep === (decision === 'keep')) && (!rule || entry.rule === rule)
    && (!owner || entry.packages.includes(Number(owner))));
  const used = ledger.uses.map(use => (!process || process === 'used' || use.processes.includes(process.slice(1)))
    && (!step || `${use.coverage}/${use.step}` === step));
  const needsUse = step || (process && process !== 'unused');
  const found = [];
  let bytes = 0;
  for (let node = 0; node < total; node += 1) {
    const use = ledger.use_of[node];
    if (!fits[ledger.class_of[node]] || (needsUse && !(use && used[use - 1])) || (process === 'unused' && use)) continue;
    if (!words.every(word => lower[node].includes(word))) continue;
    found.push(node);
    bytes += ledger.sizes[node];
  }
  if (field('order').value === 'size') found.sort((a, b) => ledger.sizes[b] - ledger.sizes[a]);
  field('count').textContent = `${countText(found.length)} ${found.length === 1 ? 'path' : 'paths'}, ${sizeText(bytes)}`;
  list.show(found);
}

// Shows in the ledger what these filters find, all others cleared.
function showInLedger(filters) {
  for (const id of FILTERS) field(id).value = filters[id] || '';
  search();
  field('ledger').scrollIntoView();
  field('search').focus({ preventScroll: true });
}

const present = (list, of) => [...new Set(list.flatMap(of))].sort();
options('rule', present(ledger.classes, entry => [entry.rule]).map(rule => [rule, rule]));
options('package', ledger.packages.map((owner, at) => [at, owner]));
options('process', present(ledger.uses, use => use.processes).map(name => [`=${name}`, name]));
options('step', present(ledger.uses, use => [`${use.coverage}/${use.step}`]).map(step => [step, step]));
for (const id of [...FILTERS, 'order']) field(id).addEventListener('input', search);
field('clear').addEventListener('click', () => showInLedger({}));
search();
