// What the Annotate panel of Edit shows: the record, the one after it, queues, search and list. The server draws every part of it
// (edit/annotate_routes.py); this script puts the parts in their places.
(() => {
  const form = window.pairloopForm;
  const drafts = window.pairloopDrafts;
  const search = window.pairloopSearch;
  const {notice, dismiss, say, tell, button} = window.pairloopNotices;
  // Whoever presses twice has not read what came after the first press: it ends nothing before it has stood there for a moment.
  const REST_MS = 500;
  const RETRY_MS = 10000;

  const state = {dataset: null, queue: 'pending', filter: {}, card: null, next: null, waiting: 0, turn: 0, listed: false, counted: 0};
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
    const record = idOf(card);
    state.card = card;
    stopWaiting();
    // What was not submitted of it stands in the form again, and is submitted from there.
    ['conflict', 'place', `unsent:${record}`].forEach(dismiss);
    place(card, true);
    startClock();
    if (!known) {
      form.prepare(card);
      const mine = drafts.meet(record, version);
      if (mine) form.write(card, mine);
    }
    addLine();
    checkGuidelines(card).catch(() => { /* With the next record they are asked for again. */ });
    if (drafts.conflict(record) !== null) askConflict(record);
    document.querySelectorAll('#edit-list [data-open-record]').forEach((row) => {
      if (row.dataset.openRecord === record) row.setAttribute('aria-current', 'true'); else row.removeAttribute('aria-current');
    });
    window.pairloopKeys.show();
    followAddress();
    if (before && before !== card) rest(REST_MS);
    tell(card.getAttribute('aria-label'));
    if (!focus) return;
    card.focus({preventScroll: true});
    card.querySelector('.pl-record-form').scrollTop = 0;
    if (host().getBoundingClientRect().top < 0) host().scrollIntoView({block: 'start'});
  };
  const showNew = (made, focus) => show(made.card || node(made.html), {version: made.version, known: Boolean(made.card), focus});

  const stopWaiting = () => { clearTimeout(state.waiting); state.waiting = 0; };
  const showEmpty = (answer, focus) => {
    if (state.card) rest(0);
    state.card = null;
    state.next = null;
    const said = node(answer.empty);
    place(said, false);
    const title = said.querySelector('h3');
    tell(title.textContent);
    // The buttons that had the focus are gone.
    if (focus) { title.tabIndex = -1; title.focus(); }
    stopWaiting();
    if (answer.waiting) state.waiting = setTimeout(() => { if (shownNow() && !document.hidden) reopen(); else showEmpty(answer); }, RETRY_MS);
  };

  // How many records are in each queue: of the dataset on the screen, and the newest that is known.
  const drawCounts = ({counts, dataset, order}) => {
    const bar = part('edit-progress');
    if (!bar || counts === undefined || dataset !== state.dataset || order < state.counted) return;
    state.counted = order;
    if (bar.dataset.html === counts) return;
    const focused = bar.contains(document.activeElement) && document.activeElement.dataset.queue;
    bar.innerHTML = counts;
    bar.dataset.html = counts;
    if (focused) bar.querySelector(`[data-queue="${focused}"]`).focus();
  };
  const apply = (answer, focus) => {
    state.dataset = answer.dataset;
    if (answer.frame) { host().innerHTML = answer.frame; frameDrawn(); }
    // Where there is nothing to search and to choose from, no search and no queues are shown.
    if (answer.bare || !part('edit-card')) host().innerHTML = '<div id="edit-alerts"></div><div id="edit-card"></div><div id="edit-foot" hidden></div>';
    drawCounts(answer);
    state.next = answer.next || null;
    if (answer.card) showNew(answer.card, focus);
    else if (answer.empty) showEmpty(answer, focus);
    if (state.listed) drawList();
  };

  const lost = (error) => `× ${error.status ? '' : 'No connection: '}${error.message}`;
  const failed = (error) => notice('failed', lost(error), button('Try again', () => { dismiss('failed'); reopen(); }));

  // Opens a dataset, a queue or a record. What is on the screen is saved first, so that it is not shown as it was before.
  const load = async (wish, focus = false) => {
    const turn = state.turn += 1;
    const from = leaving();
    if (state.card) await drafts.send(idOf(state.card));
    if (turn !== state.turn || !host()) return;
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
      drawCounts(answer);
      state.next = answer.next || null;
      if (answer.card.version !== drafts.version(record) && !drafts.waiting(record)) showNew(answer.card, false);
      followAddress();
    } catch (error) { if (!error.status) failed(error); }
  };

  const frameDrawn = () => {
    search.write(part('edit-search'), state.filter);
    drawFilterCount();
    showList();
    followGuidelines();
  };
  const followGuidelines = () => {
    const guidelines = part('edit-guidelines');
    if (!guidelines) return;
    const key = `pairloop-guidelines:${state.dataset}`;
    const storage = (() => { try { return window.localStorage; } catch { return null; } })();
    const read = storage && storage.getItem(key) === guidelines.dataset.version;
    guidelines.toggleAttribute('data-unread', !read);
    guidelines.addEventListener('toggle', () => {
      if (!guidelines.open) return;
      guidelines.removeAttribute('data-unread');
      try { storage?.setItem(key, guidelines.dataset.version); } catch { /* It is full: they are called unread once more. */ }
    });
  };

  // They may change while the page is open: whoever answers under the new ones is shown them.
  const checkGuidelines = async (card) => {
    const version = card.dataset.guidelines;
    const shown = () => part('edit-guidelines')?.dataset.version ?? '';
    if (!part('edit-guided') || version === shown()) return;
    const {dataset} = state;
    const {guidelines} = await drafts.post('guidelines', {dataset});
    if (dataset !== state.dataset || !part('edit-guided') || version === shown()) return;
    part('edit-guided').innerHTML = guidelines;
    followGuidelines();
    notice('guidelines', 'The guidelines have changed.');
  };

  const noPlace = () => notice('place', 'Others have answered this record in the meantime, or are at it now. Your text is kept as a draft; go on with the next record.');
  const askConflict = (record) => notice('conflict', 'This record was changed in another window.',
    button('Load that', () => { drafts.forget(record); dismiss('conflict'); openRecord(record); }, 'edit-load-that'),
    button('Keep mine', () => { dismiss('conflict'); drafts.keepMine(record); }, 'edit-keep-mine'));

  drafts.hooks.saved = (record, answer, all) => {
    drawCounts(answer);
    if (record !== idOf(state.card)) return;
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

  // Search, filter and list.
  const drawFilterCount = () => {
    const count = search.count(state.filter);
    document.querySelector('[data-filter-count]').textContent = count ? `(${count})` : '';
  };
  const filterNow = () => {
    const filter = search.read(part('edit-search'));
    if (JSON.stringify(filter) === JSON.stringify(state.filter)) return;
    state.filter = filter;
    drawFilterCount();
    load({});
  };
  const chooseQueue = (queue) => { state.queue = queue; load({}); };
  const drawList = async () => {
    try {
      const answer = await drafts.post('list', {dataset: state.dataset, record: idOf(state.card), ...view()});
      if (state.listed && part('edit-list')) part('edit-list').innerHTML = answer.list;
    } catch (error) { failed(error); }
  };
  const showList = () => {
    document.querySelector('#edit-host [data-list]').setAttribute('aria-expanded', String(state.listed));
    part('edit-list').hidden = !state.listed;
  };
  const toggleList = () => {
    state.listed = !state.listed;
    showList();
    if (state.listed) drawList();
  };

  window.pairloopScreen = {
    state, number, idOf, host, part, shownNow, view, leaving, rest, tooEarly, seconds, followAddress, closeDiscard, show, showNew,
    drawCounts, drawList, apply, failed, load, reopen, openRecord, freshen, noPlace, askConflict, filterNow, chooseQueue, toggleList,
    REST_MS,
  };
})();
