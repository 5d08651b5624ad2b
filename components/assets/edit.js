// The Annotate panel of Edit: which record is on the screen, and what follows it. The server draws every part of it
// (annotate_routes.py); this script puts the parts in their places. The record after the one on the screen is fetched ahead, so that
// it is there at once; what the server says to a submit is told when it comes.
(() => {
  const form = window.pairloopForm;
  const drafts = window.pairloopDrafts;
  const search = window.pairloopSearch;
  const {notice, dismiss, say, tell, button} = window.pairloopNotices;
  // Whoever presses twice has not read what came after the first press: it ends nothing before it has stood there for a moment.
  const REST_MS = 500;
  const GIVE_UP_MS = 20000;
  const SEARCH_MS = 400;
  const STAY_MS = 120000;
  const RETRY_MS = 10000;
  const SETTLE_MS = 300;

  const asked = new URL(location.href).searchParams;
  const fromAddress = {dataset: asked.get('dataset'), record: asked.get('record')};
  const state = {dataset: null, queue: 'pending', filter: {}, card: null, next: null, waiting: 0, turn: 0, stepping: false, listed: false};
  const number = (card) => card.dataset.number;
  const idOf = (card) => (card ? card.dataset.record : '');
  const host = () => document.getElementById('edit-host');
  const part = (id) => document.getElementById(id);
  const screen = () => document.getElementById('edit-screen');
  const shownNow = () => window.pairloopKeys.visible(host());
  const view = () => ({queue: state.queue, filter: state.filter});
  const leaving = () => [idOf(state.card), state.next ? state.next.id : ''].filter(Boolean);
  drafts.serves(view);

  const node = (html) => {
    const template = document.createElement('template');
    template.innerHTML = html;
    return template.content.firstElementChild;
  };
  const rest = (time) => {
    const {dataset} = screen();
    clearTimeout(state.resting);
    dataset.resting = '';
    state.resting = setTimeout(() => { delete dataset.resting; delete dataset.early; }, time);
  };
  const tooEarly = () => {
    if (!('resting' in screen().dataset)) return false;
    screen().dataset.early = '';
    return true;
  };

  // Time of work: how long a record was on the screen while the page could be seen.
  let clock = {seen: 0, since: null};
  const startClock = () => { clock = {seen: 0, since: document.hidden ? null : performance.now()}; };
  const seconds = () => (clock.seen + (clock.since === null ? 0 : performance.now() - clock.since)) / 1000;
  document.addEventListener('visibilitychange', () => {
    if (document.hidden && clock.since !== null) clock = {seen: clock.seen + performance.now() - clock.since, since: null};
    if (!document.hidden && clock.since === null) clock.since = performance.now();
  });

  const followAddress = () => {
    if (!shownNow() || !state.card) return;
    const address = new URL(location.href);
    address.searchParams.set('tab', 'edit');
    address.searchParams.set('dataset', state.dataset);
    address.searchParams.set('record', idOf(state.card));
    history.replaceState(history.state, '', address);
  };

  const closeDiscard = () => { const panel = part('edit-discarding'); if (panel) panel.hidden = true; };
  const place = (content, isCard) => {
    part('edit-card').replaceChildren(...(content ? [content] : []));
    part('edit-foot').hidden = !isCard;
    closeDiscard();
  };
  const addLine = () => {
    const {record, status, line: words} = state.card.dataset;
    if (drafts.waiting(record)) { say('Not saved yet', 'waiting'); return; }
    say(words, status);
  };

  // Puts a card on the screen. "known" is one that was there before, with what is typed in it.
  const show = (card, {version, known = false, focus = false} = {}) => {
    const before = state.card;
    state.card = card;
    stopWaiting();
    ['conflict', 'place'].forEach(dismiss);
    place(card, true);
    startClock();
    const record = idOf(card);
    if (!known) {
      form.prepare(card);
      const mine = drafts.meet(record, version);
      if (mine) form.write(card, mine);
    }
    addLine();
    if (drafts.conflict(record) !== null) askConflict(record);
    document.querySelectorAll('#edit-list [data-open-record]').forEach((row) => {
      if (row.dataset.openRecord === record) row.setAttribute('aria-current', 'true'); else row.removeAttribute('aria-current');
    });
    window.pairloopKeys.show();
    followAddress();
    if (before && before !== card) rest(REST_MS);
    if (focus) {
      card.focus({preventScroll: true});
      card.querySelector('.pl-record-form').scrollTop = 0;
      if (host().getBoundingClientRect().top < 0) host().scrollIntoView({block: 'start'});
      tell(card.getAttribute('aria-label'));
    }
  };
  const showNew = (made, focus) => show(made.card || node(made.html), {version: made.version, known: Boolean(made.card), focus});

  const stopWaiting = () => { clearTimeout(state.waiting); state.waiting = 0; };
  const showEmpty = (answer) => {
    if (state.card) rest(0);
    state.card = null;
    state.next = null;
    place(node(answer.empty), false);
    stopWaiting();
    if (answer.waiting) state.waiting = setTimeout(() => { if (shownNow() && !document.hidden) reopen(); else showEmpty(answer); }, RETRY_MS);
  };

  const drawCounts = (html) => {
    const bar = part('edit-progress');
    if (!bar || html === undefined || bar.dataset.html === html) return;
    const focused = bar.contains(document.activeElement) && document.activeElement.dataset.queue;
    bar.innerHTML = html;
    bar.dataset.html = html;
    if (focused) bar.querySelector(`[data-queue="${focused}"]`).focus();
  };
  const apply = (answer, focus) => {
    if (answer.dataset !== undefined) state.dataset = answer.dataset;
    if (answer.frame) { host().innerHTML = answer.frame; frameDrawn(); }
    // Where there is nothing to search and to choose from, no search and no queues are shown.
    if (answer.bare || !part('edit-card')) host().innerHTML = '<div id="edit-alerts"></div><div id="edit-card"></div><div id="edit-foot" hidden></div>';
    drawCounts(answer.counts);
    state.next = answer.next || null;
    if (answer.card) showNew(answer.card, focus);
    else if (answer.empty) showEmpty(answer);
    if (state.listed) drawList();
  };

  const lost = (error) => `× ${error.status ? '' : 'No connection: '}${error.message}`;
  const failed = (error) => notice('failed', lost(error), button('Try again', () => { dismiss('failed'); reopen(); }));

  // Opens a dataset, a queue or a record; what is on the screen is saved on the way.
  const load = async (wish, focus = false) => {
    const turn = state.turn += 1;
    if (state.card) drafts.send(idOf(state.card));
    const from = leaving();
    try {
      const answer = await drafts.post('open', {dataset: state.dataset, ...view(), leaving: from, ...wish});
      if (turn !== state.turn || !host()) return;
      dismiss('failed');
      apply(answer, focus);
      if (answer.place === false && answer.card && !answer.card.closed) noPlace();
    } catch (error) {
      if (turn !== state.turn || !host()) return;
      if (error.status === 404 && wish.record) {
        await load({...wish, record: ''});
        notice('failed', 'The record that this address names is not there any more.');
        return;
      }
      if (!part('edit-alerts')) host().innerHTML = '<div id="edit-alerts"></div>';
      failed(error);
    }
  };
  const reopen = () => load({frame: !part('edit-progress')}, false);
  const openRecord = (record, focus = true) => load({record}, focus);

  // The same dataset again, for instance when the tab is opened once more: what is on the screen stays, unless it has changed.
  const freshen = async () => {
    const record = idOf(state.card);
    await drafts.send(record);
    const turn = state.turn += 1;
    try {
      const answer = await drafts.post('open', {dataset: state.dataset, record, ...view()});
      if (turn !== state.turn || idOf(state.card) !== record || !answer.card) return;
      drawCounts(answer.counts);
      state.next = answer.next || null;
      if (answer.card.version !== drafts.version(record) && !drafts.waiting(record)) showNew(answer.card, false);
      followAddress();
    } catch (error) { if (!error.status) failed(error); }
  };

  let opening = 0;
  const open = (dataset) => {
    clearTimeout(opening);
    // A dropdown that is not filled yet says nothing; an empty workspace says the same, but goes on saying it.
    opening = setTimeout(() => {
      if (!host()) { opening = setTimeout(() => open(dataset), SETTLE_MS); return; }
      const {record} = fromAddress;
      fromAddress.record = null;
      if (dataset && dataset === state.dataset && state.card && part('edit-card')) { freshen(); return; }
      if (dataset !== state.dataset) Object.assign(state, {queue: 'pending', filter: {}, listed: false});
      const from = leaving();
      state.dataset = dataset || '';
      load({record: record || '', frame: true, leaving: from}).then(() => drafts.rescue(idOf(state.card)));
    }, dataset ? 0 : SETTLE_MS);
  };
  const wanted = (chosen) => {
    const {dataset, record} = fromAddress;
    fromAddress.dataset = null;
    if (chosen && !dataset && !record) return chosen;
    return dataset || (record ? `record/${record}` : chosen);
  };

  const frameDrawn = () => {
    drawFilterCount();
    const guidelines = part('edit-guidelines');
    if (!guidelines) return;
    const key = `pairloop-guidelines:${state.dataset}`;
    const storage = (() => { try { return window.localStorage; } catch { return null; } })();
    const read = storage && storage.getItem(key) === guidelines.dataset.version;
    guidelines.toggleAttribute('data-unread', !read);
    guidelines.addEventListener('toggle', () => {
      if (!guidelines.open) return;
      guidelines.removeAttribute('data-unread');
      if (storage) storage.setItem(key, guidelines.dataset.version);
    });
  };

  // Ends the record on the screen: the next one is shown at once, and the server is told meanwhile, one after the other.
  let chain = Promise.resolve();
  const end = (action, reason = '') => {
    const {card} = state;
    if (!card || card.inert || tooEarly()) return;
    const record = idOf(card);
    if (action === 'submit' && !isReady(card, record)) return;
    const job = {action, reason, record, card, number: number(card), seconds: seconds(), ...form.read(card)};
    dismiss('failed');
    dismiss(`unsent:${record}`);
    dismiss('undo');
    dismiss('accepted');
    closeDiscard();
    if (state.next) {
      const {next} = state;
      state.next = null;
      showNew(next, true);
    } else {
      card.inert = true;
      rest(GIVE_UP_MS);
    }
    chain = chain.then(() => tellEnd(job));
  };
  const isReady = (card, record) => {
    const missing = form.missing(card);
    if (missing.length) {
      const names = missing.map((question) => `“${question.dataset.title}”`).join(', ');
      say(`× Answer ${names} before you submit, or discard the record.`, 'refused');
      tell(part('edit-status').textContent);
      form.focusOn(missing[0]);
      return false;
    }
    if (!drafts.refusal(record)) return true;
    say(`× ${drafts.refusal(record)}`, 'refused');
    return false;
  };

  const tellEnd = async (job) => {
    const {record, card} = job;
    await drafts.settle(record);
    const showing = state.card === card ? '' : idOf(state.card);
    const {action, reason, values, marks} = job;
    const body = {action, reason, record, values, marks, seconds: job.seconds, showing, version: drafts.version(record), ...view()};
    try {
      const answer = await drafts.post('end', body);
      drafts.forget(record);
      drafts.learn(record, answer.version);
      card.inert = false;
      ended(job, answer, showing);
    } catch (error) {
      card.inert = false;
      notEnded(job, error);
    }
  };
  const ended = (job, answer, showing) => {
    drawCounts(answer.counts);
    if (state.listed) drawList();
    const word = job.action === 'submit' ? 'submitted' : 'discarded';
    state.undo = job.record;
    notice('undo', `Record ${job.number} ${word}.`, undoButton());
    if (state.card === job.card) { apply(answer, true); return; }
    if (idOf(state.card) !== showing) return;
    if (answer.place) { state.next = answer.next; return; }
    if (showing && (drafts.waiting(showing) || drafts.version(showing))) { noPlace(); return; }
    apply(answer, true);
  };
  const undoButton = () => {
    const made = button('Undo ', undo, 'edit-undo');
    const key = document.createElement('kbd');
    key.dataset.keyOf = 'edit.undo';
    key.textContent = 'Z';
    made.append(key);
    setTimeout(window.pairloopKeys.show);
    return made;
  };
  const notEnded = (job, error) => {
    const {record, card} = job;
    const onScreen = state.card === card;
    // What was given stays here until the server has it, as a draft at least.
    if (error.status === 409) drafts.clash(record, error.version);
    drafts.change(record, {values: job.values, marks: job.marks});
    const verb = job.action === 'submit' ? 'submitted' : 'discarded';
    const again = button('Try again', () => {
      dismiss(`unsent:${record}`);
      if (state.card === card) end(job.action, job.reason); else chain = chain.then(() => tellEnd(job));
    });
    const back = button('Go back to it', () => { dismiss(`unsent:${record}`); goBackTo(card); });
    const ways = [...(onScreen ? [] : [back]), ...(error.status ? [] : [again])];
    const reason = error.status ? error.message : 'no connection to Pairloop.';
    notice(`unsent:${record}`, `Your answer to record ${job.number} was not ${verb}: ${reason}`, ...ways);
    if (onScreen) { rest(0); if (error.status === 409) askConflict(record); }
  };
  const goBackTo = (card) => {
    const was = state.card;
    if (was) drafts.send(idOf(was));
    show(card, {known: true, focus: true});
    // What was on the screen comes again after it, with what is typed there.
    state.next = was ? {id: idOf(was), card: was} : null;
  };

  const noPlace = () => notice('place', 'Others have answered this record in the meantime, or are at it now. Your text is kept as a draft; go on with the next record.');
  const askConflict = (record) => notice('conflict', 'This record was changed in another window.',
    button('Load that', () => { drafts.forget(record); dismiss('conflict'); openRecord(record); }, 'edit-load-that'),
    button('Keep mine', () => { dismiss('conflict'); drafts.keepMine(record); }, 'edit-keep-mine'));

  drafts.hooks.saved = (record, answer, all) => {
    if (record !== idOf(state.card)) { drawCounts(answer.counts); return; }
    drawCounts(answer.counts);
    if (!answer.place) noPlace(); else dismiss('place');
    Object.entries(answer.diffs).forEach(([name, html]) => {
      const box = [...state.card.querySelectorAll('[data-question]')].find((question) => question.dataset.question === name);
      const area = box && box.querySelector('[data-diff]');
      if (area) area.innerHTML = html;
    });
    state.card.dataset.status = answer.status;
    state.card.dataset.line = answer.line;
    if (!all) return;
    if (answer.status === 'draft' && answer.saved) say('Draft saved', 'draft', Date.now()); else say(answer.line, answer.status);
  };
  drafts.hooks.failed = (record, reason) => {
    if (record === idOf(state.card)) say(`Not saved yet: ${reason}, trying again`, 'waiting');
  };
  drafts.hooks.refused = (record, reason) => {
    if (record !== idOf(state.card)) return;
    say(`× Not saved: ${reason}`, 'refused');
    tell(part('edit-status').textContent);
  };
  drafts.hooks.conflict = (record) => {
    if (record !== idOf(state.card)) return;
    say('Not saved: changed in another window', 'refused');
    askConflict(record);
  };

  const step = async (direction) => {
    if (state.stepping) return;
    state.stepping = true;
    const turn = state.turn += 1;
    const record = idOf(state.card);
    if (record) drafts.send(record);
    try {
      const answer = await drafts.post('step', {dataset: state.dataset, record, step: direction, leaving: leaving(), ...view()});
      if (turn !== state.turn) return;
      if (answer.end) { say(answer.end); tell(answer.end); } else apply(answer, true);
    } catch (error) { failed(error); } finally { state.stepping = false; }
  };

  const undo = async () => {
    await chain;
    const record = state.undo;
    if (!record) return;
    state.undo = '';
    dismiss('undo');
    if (state.card) drafts.send(idOf(state.card));
    try {
      const answer = await drafts.post('undo', {record, leaving: leaving(), ...view()});
      drafts.forget(record);
      state.turn += 1;
      apply(answer, true);
      notice('undo', `Taken back: record ${number(state.card)} is a draft again.`);
    } catch (error) { state.undo = record; failed(error); }
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

  const discard = () => {
    const panel = part('edit-discarding');
    if (!state.card || !panel || tooEarly()) return;
    if (!panel.hidden) { end('discard', part('edit-reason').value); return; }
    panel.hidden = false;
    part('edit-reason').value = '';
    part('edit-reason').focus();
    rest(REST_MS);
  };

  // Search and filter.
  const drawFilterCount = () => {
    const mark = document.querySelector('[data-filter-count]');
    if (!mark) return;
    const count = search.count(state.filter);
    mark.textContent = count ? `(${count})` : '';
  };
  let searching = 0;
  const filterNow = () => {
    clearTimeout(searching);
    const filter = search.read(part('edit-search'));
    if (JSON.stringify(filter) === JSON.stringify(state.filter)) return;
    state.filter = filter;
    drawFilterCount();
    load({});
  };
  const clearFilter = () => { part('edit-search').reset(); filterNow(); };

  const drawList = async () => {
    try {
      const answer = await drafts.post('list', {dataset: state.dataset, record: idOf(state.card), ...view()});
      if (state.listed && part('edit-list')) part('edit-list').innerHTML = answer.list;
    } catch (error) { failed(error); }
  };
  const toggleList = (control) => {
    state.listed = !state.listed;
    control.setAttribute('aria-expanded', String(state.listed));
    part('edit-list').hidden = !state.listed;
    if (state.listed) drawList();
  };
  const chooseQueue = (queue) => { state.queue = queue; load({}); };
  const copyLink = (control) => {
    followAddress();
    const done = () => { control.textContent = 'Copied'; setTimeout(() => { control.textContent = 'Copy link'; }, 1500); };
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
      setTimeout(() => Object.assign(control, {disabled: false, textContent: 'Review the example'}), GIVE_UP_MS);
    },
  };
  document.addEventListener('click', (event) => {
    const control = event.target.closest('#edit-host button');
    if (!control) return;
    if (IDS[control.id]) IDS[control.id](control);
    const {dataset} = control;
    if (dataset.queue) chooseQueue(dataset.queue);
    if (dataset.openRecord) openRecord(dataset.openRecord);
    if ('list' in dataset) toggleList(control);
    if ('filterClear' in dataset) clearFilter();
    if ('discardCancel' in dataset) { closeDiscard(); part('edit-discard').focus(); }
    if ('copyLink' in dataset) copyLink(control);
  });
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'edit-search') return;
    event.preventDefault();
    filterNow();
    const panel = event.target.querySelector('.pl-filter');
    if (panel) panel.open = false;
  });
  document.addEventListener('input', (event) => {
    if (!event.target.matches('[data-filter-text]')) return;
    clearTimeout(searching);
    searching = setTimeout(filterNow, SEARCH_MS);
  });
  document.addEventListener('pairloop-changed', (event) => {
    if (event.target !== state.card) return;
    dismiss('accepted');
    drafts.change(idOf(state.card), form.read(state.card));
  });

  // Keys, see keys.js; these also work while one types, or only there.
  document.addEventListener('keydown', (event) => {
    if (!event.target.closest || !event.target.closest('#edit-host')) return;
    if (event.key === 'Enter' && event.target.id === 'edit-reason' && !event.repeat) { event.preventDefault(); event.stopPropagation(); discard(); }
    if (event.key !== 'Escape') return;
    if (event.target.closest('#edit-discarding')) { closeDiscard(); part('edit-discard').focus(); return; }
    if (event.target.matches('textarea, input, [data-marked]')) { event.target.blur(); if (state.card) state.card.focus({preventScroll: true}); }
  });
  const here = (act) => (...given) => (shownNow() && part('edit-card') ? act(...given) : false);
  const pressed = (id) => here(() => { const control = part(id); if (!window.pairloopKeys.visible(control)) return false; control.click(); return true; });
  window.pairloopKeys.on('edit', {
    submit: pressed('edit-submit'),
    back: pressed('edit-back'),
    next: pressed('edit-next'),
    discard: pressed('edit-discard'),
    accept: here(accept),
    undo: here(() => { undo(); }),
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
    load({record: idOf(state.card), frame: true}).finally(() => { state.redrawing = false; });
  }).observe(document.documentElement, {childList: true, subtree: true});

  window.pairloopEdit = {open, wanted};
})();
