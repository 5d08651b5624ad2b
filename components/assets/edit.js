// The Annotate panel of Edit: what is opened when, and what its buttons and keys do.
(() => {
  const form = window.pairloopForm;
  const drafts = window.pairloopDrafts;
  const {notice, dismiss, say, tell, button} = window.pairloopNotices;
  const {
    state, idOf, host, part, shownNow, view, leaving, followAddress, closeDiscard, apply, failed, load, reopen, openRecord, freshen, noPlace,
    filterNow, chooseQueue, toggleList,
  } = window.pairloopScreen;
  const {end, undo, discard} = window.pairloopEnding;
  const EXAMPLE_MS = 20000;
  const SEARCH_MS = 400;
  const STAY_MS = 120000;
  const SETTLE_MS = 300;

  const asked = new URL(location.href).searchParams;
  const fromAddress = {dataset: asked.get('dataset'), record: asked.get('record')};
  let opening = 0;
  let loading = null;
  const open = (dataset) => {
    clearTimeout(opening);
    // A dropdown that is not filled yet says nothing; an empty workspace says the same, but goes on saying it.
    opening = setTimeout(() => {
      if (!host()) { opening = setTimeout(() => open(dataset), SETTLE_MS); return; }
      if (dataset && dataset === state.dataset && state.card && part('edit-card')) { freshen(); return; }
      // Gradio tells of one dataset several times while the page opens: what is on its way comes, and is not asked for again.
      if (dataset && dataset === loading) return;
      // Somebody chose another dataset than that of the address.
      if (state.dataset && dataset !== state.dataset) fromAddress.record = null;
      // The card is gone where Gradio has just drawn the tab anew: the record that was on it comes back, not the next free one.
      const record = fromAddress.record || (dataset && dataset === state.dataset ? idOf(state.card) : '');
      if (dataset !== state.dataset) {
        dismiss('undo');
        Object.assign(state, {queue: 'pending', filter: {}, listed: false, undo: ''});
      }
      state.dataset = dataset || '';
      const loaded = load({record: record || '', frame: true});
      const {turn} = state;
      loading = dataset;
      loaded.then(() => {
        // Overtaken by another load, this one has shown nothing.
        if (turn === state.turn) { fromAddress.record = null; loading = null; }
        drafts.rescue(idOf(state.card));
      });
    }, dataset ? 0 : SETTLE_MS);
  };
  const wanted = (chosen) => {
    const {dataset, record} = fromAddress;
    fromAddress.dataset = null;
    if (chosen && !dataset && !record) return chosen;
    return dataset || (record ? `record/${record}` : chosen);
  };

  let stepping = false;
  const step = async (direction) => {
    if (stepping) return;
    stepping = true;
    const turn = state.turn += 1;
    const record = idOf(state.card);
    const from = leaving();
    try {
      // Saved first: whoever comes straight back finds it.
      if (record) await drafts.send(record);
      const answer = await drafts.post('step', {dataset: state.dataset, record, step: direction, leaving: from, ...view()});
      if (turn !== state.turn) return;
      if (answer.end) { say(answer.end); tell(answer.end); } else apply(answer, true);
    } catch (error) { failed(error); } finally { stepping = false; }
  };

  const accept = () => {
    if (!state.card) return false;
    const before = form.read(state.card);
    if (!form.accept(state.card)) return false;
    const {card} = state;
    notice('accepted', 'Suggestions used.', button('Put back', () => {
      dismiss('accepted');
      form.write(card, before);
      drafts.change(idOf(card), before);
    }));
    return true;
  };

  let searching = 0;
  const searchNow = () => { clearTimeout(searching); filterNow(); };
  const clearFilter = () => { part('edit-search').reset(); searchNow(); };
  const copyLink = (control) => {
    followAddress();
    const done = () => { control.textContent = 'Copied'; tell('The link is copied.'); setTimeout(() => { control.textContent = 'Copy link'; }, 1500); };
    const not = () => tell('The address of this page leads to this record.');
    if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(done, not); else not();
  };

  const IDS = {
    'edit-submit': () => end('submit'),
    'edit-discard': discard,
    'edit-discard-confirm': discard,
    'edit-back': () => step(-1),
    'edit-next': () => step(1),
    'edit-again': () => step(-1),
    'edit-retry': reopen,
    'edit-pending': () => chooseQueue('pending'),
    'edit-unfilter': clearFilter,
    'edit-example': (control) => {
      Object.assign(control, {disabled: true, textContent: 'Preparing the example …'});
      setTimeout(() => Object.assign(control, {disabled: false, textContent: 'Review the example'}), EXAMPLE_MS);
    },
  };
  document.addEventListener('click', (event) => {
    const control = event.target.closest('#edit-host button');
    if (!control) return;
    if (IDS[control.id]) IDS[control.id](control);
    const {dataset} = control;
    if (dataset.queue) chooseQueue(dataset.queue);
    if (dataset.openRecord) openRecord(dataset.openRecord);
    if ('list' in dataset) toggleList();
    if ('filterClear' in dataset) clearFilter();
    if ('discardCancel' in dataset) { closeDiscard(); part('edit-discard').focus(); }
    if ('copyLink' in dataset) copyLink(control);
  });
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'edit-search') return;
    event.preventDefault();
    searchNow();
    const panel = event.target.querySelector('.pl-filter');
    if (panel) panel.open = false;
  });
  document.addEventListener('input', (event) => {
    if (!event.target.matches('[data-filter-text]')) return;
    clearTimeout(searching);
    searching = setTimeout(searchNow, SEARCH_MS);
  });
  document.addEventListener('pairloop-changed', (event) => {
    if (event.target !== state.card) return;
    dismiss('accepted');
    const record = idOf(state.card);
    drafts.change(record, form.read(state.card));
    // What is said of the letters before is not true of these.
    if (drafts.conflict(record) === null) say('Not saved yet', 'waiting');
  });

  // Keys, see keys.js; these also work while one types, or only there.
  document.addEventListener('keydown', (event) => {
    if (!event.target.closest || !event.target.closest('#edit-host')) return;
    if (event.key === 'Enter' && event.target.id === 'edit-reason' && !event.repeat) { event.preventDefault(); event.stopPropagation(); discard(); }
    if (event.key !== 'Escape') return;
    const filter = event.target.closest('.pl-filter[open]');
    if (filter) { filter.open = false; filter.querySelector('summary').focus(); return; }
    if (event.target.closest('#edit-discarding')) { closeDiscard(); part('edit-discard').focus(); return; }
    if (event.target.matches('textarea, input, [data-marked]')) { event.target.blur(); if (state.card) state.card.focus({preventScroll: true}); }
  });
  const here = (act) => (...given) => (shownNow() && part('edit-card') ? act(...given) : false);
  const pressed = (id) => here(() => { const control = part(id); if (!window.pairloopKeys.visible(control)) return false; control.click(); return true; });
  const submitPressed = pressed('edit-submit');
  window.pairloopKeys.on('edit', {
    // Somebody who writes a search or the reason of a discard does not submit.
    submit: (key, event) => {
      if (window.pairloopKeys.typing(event.target) && !event.target.closest('.pl-record')) return false;
      return submitPressed();
    },
    back: pressed('edit-back'),
    next: pressed('edit-next'),
    discard: pressed('edit-discard'),
    question: here(() => Boolean(state.card) && form.goOn(state.card)),
    accept: here(accept),
    undo: here(() => { undo(); }),
    relevant: here(() => Boolean(state.card) && form.relevance(state.card, true)),
    irrelevant: here(() => Boolean(state.card) && form.relevance(state.card, false)),
    mark: here(() => Boolean(state.card) && form.mark(state.card)),
    guidelines: here(() => { const box = part('edit-guidelines'); if (!box) return false; box.open = !box.open; return true; }),
    search: here(() => { document.querySelector('[data-filter-text]')?.focus(); }),
    other: here((key) => /^[0-9]$/.test(key) && Boolean(state.card) && form.digit(state.card, key)),
  });

  // A record that is worked on stays kept for whoever works on it.
  let active = false;
  ['keydown', 'pointerdown', 'wheel', 'touchmove'].forEach((name) => document.addEventListener(name, () => { active = true; }, {passive: true}));
  setInterval(async () => {
    if (!active || document.hidden || !shownNow() || !state.card) return;
    active = false;
    const record = idOf(state.card);
    try {
      const {place: has} = await drafts.post('stay', {record});
      if (!has && record === idOf(state.card)) noPlace();
    } catch { /* The line of the draft tells of a lost connection. */ }
  }, STAY_MS);

  // Whoever closes the page frees what was kept for them and not begun.
  window.addEventListener('pagehide', () => {
    if (leaving().length) drafts.post('leave', {leaving: leaving()}, true).catch(() => { /* Then it is free in some minutes. */ });
  });

  // Gradio may draw the host anew, empty.
  new MutationObserver(() => {
    if (!host() || host().firstElementChild || state.dataset === null || state.redrawing) return;
    state.redrawing = true;
    // It may happen while the record of the address is on its way, which this overtakes.
    load({record: idOf(state.card) || fromAddress.record || '', frame: true}).finally(() => {
      state.redrawing = false;
      if (state.card) { fromAddress.record = null; loading = null; }
    });
  }).observe(document.documentElement, {childList: true, subtree: true});

  window.pairloopEdit = {open, wanted};
})();
