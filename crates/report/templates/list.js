// A table of which only the rows in sight exist. `cells(item)` gives the cells of a row, the first one's text goes on a
// button; `choose(item)` is called for the row that was clicked or entered.
const ROW_HEIGHT = 30, MORE_ROWS = 10;
// Browsers cannot scroll higher than some ten million pixels: past that, rows stand for a place in proportion.
const MOST_HEIGHT = 9e6;

class List {
  constructor(box, cells, choose) {
    Object.assign(this, { box, cells, choose, items: [], current: 0, chosen: undefined });
    this.table = box.querySelector('table');
    this.body = box.querySelector('tbody');
    this.columns = [...box.querySelectorAll('thead th')];
    let waiting = false;
    box.addEventListener('scroll', () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; this.draw(); });
    });
    box.addEventListener('keydown', event => this.key(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  show(items) {
    this.items = items;
    this.current = 0;
    this.box.scrollTop = 0;
    this.table.setAttribute('aria-rowcount', items.length + 1);
    this.draw();
  }

  get inSight() { return Math.max(1, Math.floor(this.box.clientHeight / ROW_HEIGHT) - 1); }

  // How many rows a pixel of scrolling passes, in rows of their natural height.
  get scale() { return Math.max(1, this.items.length * ROW_HEIGHT / MOST_HEIGHT); }

  draw() {
    const count = this.items.length, scale = this.scale, scrolled = this.box.scrollTop;
    const top = Math.min(scrolled * scale / ROW_HEIGHT, Math.max(0, count - this.inSight));
    const first = Math.max(0, Math.floor(top) - MORE_ROWS);
    const last = Math.min(count, Math.ceil(top) + this.inSight + MORE_ROWS);
    const height = count * ROW_HEIGHT / scale;
    // Where the rows are set: so that the row at the top of the sight stands at the place that was scrolled to.
    const before = Math.max(0, scale === 1 ? first * ROW_HEIGHT : scrolled - (top - first) * ROW_HEIGHT);
    const had = this.body.contains(document.activeElement);
    const rows = [];
    for (let at = first; at < last; at += 1) rows.push(this.row(at));
    const after = Math.max(0, height - before - (last - first) * ROW_HEIGHT);
    this.body.replaceChildren(this.spacer(before), ...rows, this.spacer(after));
    // A browser that lays out while the row with the focus is taken away finds an empty list, which has no place but its top.
    if (this.box.scrollTop !== scrolled) this.box.scrollTop = scrolled;
    if (had) this.focus();
  }

  spacer(height) {
    const row = element('tr', undefined, 'spacer'), cell = element('td');
    row.setAttribute('aria-hidden', 'true');
    cell.colSpan = this.columns.length;
    cell.style.height = row.style.height = `${height}px`;
    row.append(cell);
    return row;
  }

  row(at) {
    const item = this.items[at];
    const row = element('tr', undefined, item === this.chosen ? 'chosen' : '');
    row.setAttribute('aria-rowindex', at + 2);
    this.cells(item).forEach(([text, className], column) => {
      const head = this.columns[column];
      const cell = element(column === 0 ? 'th' : 'td', column === 0 ? undefined : text, `${head.className} ${className || ''}`);
      if (column === 0) {
        cell.scope = 'row';
        const button = element('button', text, 'link path');
        button.type = 'button';
        button.title = text;
        button.tabIndex = at === this.current ? 0 : -1;
        button.dataset.at = at;
        button.addEventListener('click', () => this.pick(at));
        cell.append(button);
      } else if (text) {
        cell.title = text;
      }
      row.append(cell);
    });
    return row;
  }

  pick(at) {
    this.current = at;
    this.chosen = this.items[at];
    this.choose(this.chosen);
    this.draw();
    this.focus();
  }

  focus() {
    const button = this.body.querySelector(`button[data-at="${this.current}"]`) || this.box;
    button.focus({ preventScroll: true });
  }

  key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: this.inSight, PageUp: -this.inSight, Home: -Infinity, End: Infinity };
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.altKey || event.metaKey || !this.items.length) return;
    event.preventDefault();
    // The first key goes to the row that is the current one.
    const entered = !this.body.contains(document.activeElement);
    const step = entered && Math.abs(move) === 1 ? 0 : move;
    this.current = Math.min(this.items.length - 1, Math.max(0, this.current + step));
    const top = this.box.scrollTop * this.scale / ROW_HEIGHT;
    const to = this.current < top ? this.current : Math.max(top, this.current + 1 - this.inSight);
    if (to !== top) this.box.scrollTop = to * ROW_HEIGHT / this.scale;
    this.draw();
    this.focus();
  }
}
