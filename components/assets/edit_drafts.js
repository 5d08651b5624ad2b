// Drafts of the Annotate panel: kept in this browser until the server has them, sent soon after the last letter, when the page is
// left, and again when the connection is back. What another window has saved in the meantime is not overwritten unasked.
(() => {
  const SOON_MS = 600;
  const RETRY_MS = [1000, 2000, 4000, 5000];
  const GIVE_UP_MS = 20000;
  // What another window keeps for so long without sending it is left behind by a window that is gone.
  const STRANDED_MS = 20000;
  const PREFIX = 'pairloop-unsaved:';
  const storeOf = (name) => { try { return window[name]; } catch { return null; } };
  const local = storeOf('localStorage');
  const session = storeOf('sessionStorage');
  const tab = (session && session.getItem('pairloop-tab')) || Math.random().toString(36).slice(2);
  if (session) session.setItem('pairloop-tab', tab);

  const post = async (path, body, keepalive = false) => {
    let answer;
    try {
      answer = await window.fetch(new URL(`annotate/${path}`, document.baseURI), {
        method: 'POST',
        headers: {'Content-Type': 'application/json', 'X-Pairloop': '1'},
        body: JSON.stringify(body),
        cache: 'no-store',
        keepalive,
        signal: keepalive ? undefined : AbortSignal.timeout(GIVE_UP_MS),
      });
    } catch {
      throw Object.assign(new Error('no connection to Pairloop'), {status: 0});
    }
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(said.error || `the server answered ${answer.status}`), {status: answer.status, ...said});
    if (['draft', 'end', 'undo'].includes(path)) await window.pairloopBackup.answered();
    return said;
  };

  // By record: {entry, version, timer, sending, tries, refused}. "entry" is what the server does not have yet.
  const known = new Map();
  const of = (record) => {
    if (!known.has(record)) known.set(record, {entry: null, version: '', timer: 0, sending: null, tries: 0, refused: '', conflict: null});
    return known.get(record);
  };
  const hooks = {saved: () => {}, failed: () => {}, refused: () => {}, conflict: () => {}};
  let view = () => ({});

  const keyOf = (record) => `${PREFIX}${record}:${tab}`;
  const remember = (record) => {
    const {entry} = of(record);
    if (!local) return;
    // Where the browser's store is full, the server still gets it.
    try {
      if (entry) local.setItem(keyOf(record), JSON.stringify(entry)); else local.removeItem(keyOf(record));
    } catch { /* As above. */ }
  };
  const stored = () => (local ? Object.keys(local) : []).filter((key) => key.startsWith(PREFIX)).flatMap((key) => {
    try { return [{key, own: key.endsWith(`:${tab}`), entry: JSON.parse(local.getItem(key))}]; } catch { return []; }
  }).filter(({own, entry}) => entry && (own || Date.now() - entry.at > STRANDED_MS));

  const send = (record, keepalive = false) => {
    const state = of(record);
    clearTimeout(state.timer);
    if (state.sending) return state.sending.then(() => (state.entry && !state.conflict && !state.refused ? send(record) : undefined));
    if (!state.entry) return Promise.resolve();
    const {entry} = state;
    const body = {...view(), record, values: entry.values, marks: entry.marks, version: state.version};
    state.sending = post('draft', body, keepalive).then((answer) => {
      Object.assign(state, {version: answer.version, tries: 0, refused: ''});
      if (state.entry === entry) { state.entry = null; remember(record); } else if (state.entry) { state.entry.version = answer.version; }
      hooks.saved(record, answer, !state.entry);
    }, (error) => {
      if (error.status === 409) { state.conflict = error.version; hooks.conflict(record); return; }
      if (error.status >= 400 && error.status < 500) { state.refused = error.message; hooks.refused(record, error.message); return; }
      const wait = RETRY_MS[Math.min(state.tries, RETRY_MS.length - 1)];
      state.tries += 1;
      state.timer = setTimeout(() => send(record), wait);
      hooks.failed(record, error.message);
    }).finally(() => { state.sending = null; });
    return state.sending;
  };

  const change = (record, typed) => {
    const state = of(record);
    state.entry = {...typed, version: state.version, at: Date.now()};
    state.refused = '';
    remember(record);
    if (state.conflict) return;
    clearTimeout(state.timer);
    state.timer = setTimeout(() => send(record), SOON_MS);
  };

  const forget = (record) => {
    const state = of(record);
    clearTimeout(state.timer);
    Object.assign(state, {entry: null, refused: '', conflict: null, tries: 0});
    stored().filter(({key}) => key.startsWith(`${PREFIX}${record}:`)).forEach(({key}) => local.removeItem(key));
  };

  // A card as the server has it is put on the screen: returns what this browser has beyond that, if anything.
  const meet = (record, version) => {
    const state = of(record);
    if (!state.entry) {
      const left = stored().filter(({key}) => key.startsWith(`${PREFIX}${record}:`)).sort((one, other) => other.entry.at - one.entry.at)[0];
      if (left) {
        state.entry = left.entry;
        state.version = left.entry.version;
        if (!left.own) local.removeItem(left.key);
        remember(record);
      }
    }
    if (!state.entry) { state.version = version; return null; }
    state.conflict = state.version === version ? null : version;
    if (!state.conflict) { clearTimeout(state.timer); state.timer = setTimeout(() => send(record), SOON_MS); }
    return state.entry;
  };

  const keepMine = (record) => {
    const state = of(record);
    state.version = state.conflict ?? state.version;
    state.conflict = null;
    return send(record);
  };

  // Before a record is ended: nothing more of it is sent as a draft, and what is under way has arrived.
  const settle = async (record) => {
    clearTimeout(of(record).timer);
    await of(record).sending;
    clearTimeout(of(record).timer);
  };

  const flush = (keepalive) => known.forEach((state, record) => {
    if (state.entry && !state.conflict && !state.refused && !state.sending) send(record, keepalive);
  });
  // A page that is left for good or for another one; a phone may never come back to one that it hides.
  window.addEventListener('pagehide', () => flush(true));
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'hidden') flush(true); });
  window.addEventListener('online', () => flush(false));

  // What a window that is gone could not send. The record on the screen has its own way (meet).
  const rescue = (shown) => stored().forEach(({key, entry}) => {
    const record = key.slice(PREFIX.length).split(':')[0];
    if (record === shown || of(record).entry) return;
    post('draft', {...view(), record, values: entry.values, marks: entry.marks, version: entry.version})
      .then(() => local.removeItem(key), () => { /* It waits until its record is opened. */ });
  });

  window.pairloopDrafts = {
    post,
    hooks,
    change,
    forget,
    meet,
    keepMine,
    settle,
    send,
    rescue,
    serves: (reader) => { view = reader; },
    version: (record) => of(record).version,
    learn: (record, version) => { of(record).version = version; },
    refusal: (record) => of(record).refused,
    conflict: (record) => of(record).conflict,
    clash: (record, version) => { of(record).conflict = version; },
    waiting: (record) => Boolean(of(record).entry),
  };
})();
