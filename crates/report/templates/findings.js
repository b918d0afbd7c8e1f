// Known vulnerabilities, where the images were scanned.
if (data.findings) {
  const findings = data.findings;
  const words = findings.map(row => [row.name, row.package, row.summary].join(' ').toLowerCase());
  const RANKS = { 'high+': 4 };

  const list = new List(field('finding-list'), at => {
    const row = findings[at];
    return [
      [row.name], [`${row.package} ${row.version}`], [row.severity, row.severity],
      [[row.heat, row.partial && 'partial', row.not_in_binary && 'not in binary'].filter(Boolean).join(', '), row.heat], [row.epss === undefined ? '–' : `${(row.epss * 100).toFixed(1)} %`],
      [row.exploited ? 'yes' : '–', row.exploited ? 'exploited' : ''], [row.fixed || '–'],
    ];
  }, at => {
    const row = findings[at], facts = element('ul');
    const title = element('h3', `${row.name} in ${row.package} ${row.version}`);
    const state = { hot: 'Code of the package ran.', warm: 'Only data or settings of the package were used.',
      cold: 'No step used anything of the package.', gone: 'Nothing of the package is left.' }[row.heat] || 'Nobody recorded what is used.';
    const lines = [`${row.severity}; ${row.fixed ? `fixed in ${row.fixed}` : 'no fix is known'}`, state];
    if (row.partial) lines.push('Only a part of the package is left.');
    if (row.symbols) lines.push(row.symbols);
    if (row.exploited) lines.push('It is known to be exploited.');
    facts.append(...lines.concat(row.used || []).map(line => element('li', line)));
    field('finding-detail').replaceChildren(title, element('p', row.summary), facts);
  });

  const searchFindings = () => {
    const value = id => field(`finding-${id}`).value;
    const text = value('search').toLowerCase().split(' ').filter(word => word), heat = value('heat'), severity = value('severity');
    const epss = Number(value('epss')), exploited = field('finding-exploited').checked, order = value('order');
    const found = findings.map((_, at) => at).filter(at => {
      const row = findings[at];
      return text.every(word => words[at].includes(word))
        && (!heat || (heat === 'left' ? row.heat !== 'gone' : row.heat === heat))
        && (!severity || (RANKS[severity] ? row.rank >= RANKS[severity] : row.severity === severity))
        && (!epss || row.epss >= epss) && (!exploited || row.exploited);
    });
    if (order === 'package') found.sort((a, b) => findings[a].package < findings[b].package ? -1 : findings[a].package > findings[b].package ? 1 : a - b);
    else if (order) found.sort((a, b) => (findings[b][order] || 0) - (findings[a][order] || 0) || a - b);
    field('finding-count').textContent = `${countText(found.length)} of ${countText(findings.length)} findings`;
    list.show(found);
  };

  for (const id of ['search', 'heat', 'severity', 'epss', 'order', 'exploited']) field(`finding-${id}`).addEventListener('input', searchFindings);
  document.querySelectorAll('[data-severity]').forEach(button => button.addEventListener('click', () => {
    for (const id of ['search', 'epss']) field(`finding-${id}`).value = '';
    field('finding-exploited').checked = false;
    field('finding-heat').value = button.dataset.heat;
    field('finding-severity').value = button.dataset.severity === 'all' ? '' : button.dataset.severity;
    searchFindings();
    field('finding-count').scrollIntoView();
  }));
  searchFindings();
}
