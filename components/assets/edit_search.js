// The search and the filter of the Annotate panel, as the server takes them.
(() => {
  const read = (search) => {
    const filter = {};
    const text = search.querySelector('[data-filter-text]').value.trim();
    if (text) filter.text = text;
    const add = (kind, name, value) => { filter[kind] = {...filter[kind], [name]: value}; };
    const chosen = new Map();
    search.querySelectorAll('[data-filter-term]:checked').forEach((box) => {
      chosen.set(box.dataset.filterTerm, [...(chosen.get(box.dataset.filterTerm) || []), box.value]);
    });
    search.querySelectorAll('[data-filter-terms]').forEach((field) => {
      const terms = field.value.split(',').map((term) => term.trim()).filter(Boolean);
      if (terms.length) chosen.set(field.dataset.filterTerms, terms);
    });
    chosen.forEach((terms, name) => add('terms', name, terms));
    [['range', 'ranges'], ['score', 'scores']].forEach(([data, kind]) => {
      search.querySelectorAll(`[data-filter-${data}][data-end=low]`).forEach((low) => {
        const high = low.parentElement.querySelector('[data-end=high]');
        const ends = [low, high].map((field) => (field.value === '' ? null : Number(field.value)));
        if (ends.some((value) => value !== null)) add(kind, low.getAttribute(`data-filter-${data}`), ends);
      });
    });
    return filter;
  };
  // Puts a filter into a search that was drawn anew.
  const write = (search, filter) => {
    search.querySelector('[data-filter-text]').value = filter.text ?? '';
    search.querySelectorAll('[data-filter-term]').forEach((box) => {
      box.checked = (filter.terms?.[box.dataset.filterTerm] ?? []).includes(box.value);
    });
    search.querySelectorAll('[data-filter-terms]').forEach((field) => {
      field.value = (filter.terms?.[field.dataset.filterTerms] ?? []).join(', ');
    });
    [['range', 'ranges'], ['score', 'scores']].forEach(([data, kind]) => {
      search.querySelectorAll(`[data-filter-${data}]`).forEach((field) => {
        const [low, high] = filter[kind]?.[field.getAttribute(`data-filter-${data}`)] ?? [];
        field.value = (field.dataset.end === 'low' ? low : high) ?? '';
      });
    });
  };
  // How many conditions there are beside the words.
  const count = (filter) => ['terms', 'ranges', 'scores'].reduce((sum, kind) => sum + Object.keys(filter[kind] || {}).length, 0);

  window.pairloopSearch = {read, write, count};
})();
