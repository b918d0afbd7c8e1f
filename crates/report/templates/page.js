// What ties the sections together: tables lead into the ledger, colours can be chosen.
document.querySelectorAll('form').forEach(form => form.addEventListener('submit', event => event.preventDefault()));
for (const [name, value] of [
  ['rule', name => name],
  ['package', name => String(ledger.packages.indexOf(name))],
  ['process', name => `=${name}`],
  ['step', name => name],
]) {
  document.querySelectorAll(`button[data-${name}]`).forEach(button => button.addEventListener('click', () => {
    showInLedger({ [name]: value(button.dataset[name]) });
  }));
}

field('package-search').addEventListener('input', () => {
  const text = field('package-search').value.toLowerCase();
  for (const row of field('package-table').tBodies[0].rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(text);
});

const THEMES = ['', 'dark', 'light'];
field('theme').addEventListener('click', () => {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme || '') + 1) % THEMES.length];
  if (next) root.dataset.theme = next; else delete root.dataset.theme;
  field('theme').textContent = `Colours: ${next || 'as the system'}`;
});
