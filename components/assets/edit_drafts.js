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
  try { session?.setItem('pairloop-tab', tab); } catch { /* It is full: after a reload this is another window. */ }

  let posted = 0;
  const post = async (path, body, keepalive = false) => {
    const order = posted += 1;
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
    const said = await answer.json().catch(() => null);
    if (!answer.ok) throw Object.assign(new Error(said?.error || `the server answered ${answer.status}`), {status: answer.status, ...said});
    // A page in place of the answer comes from something in between, a sign-in for instance: nothing has been taken in.
    if (!said) throw Object.assign(new Error('something else than Pairloop answered'), {status: 0});
    return {...said, order};
  };
  // What is told of an answer is told once the page says of the back-up what is true since.
  const answered = () => window.pairloopBackup.answered();

  // By record: {entry, version, timer, sending, tries, refused, conflict, unsure}. "entry" is what the server does not have yet,
  // "unsure" the first of what was sent without an answer: the server may have it.
  const known = new Map();
  const of = (record) => {
    if (!known.has(record)) known.set(record, {entry: null, version: '', timer: 0, sending: null, tries: 0, refused: '', conflict: null, unsure: null});
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
    const text = local.getItem(key);
    try { return [{key, text, own: key.endsWith(`:${tab}`), entry: JSON.parse(text)}]; } catch { return []; }
  }).filter(({own, entry}) => entry && (own || Date.now() - entry.at > STRANDED_MS));

  const soon = (record, time = SOON_MS) => {
    const state = of(record);
    clearTimeout(state.timer);
    state.timer = setTimeout(() => send(record), time);
  };
  const bodyOf = (record, {values, marks, unsure}, version) => ({...view(), record, values, marks, unsure: unsure ?? undefined, version});
  const send = (record, keepalive = false) => {
    const state = of(record);
    clearTimeout(state.timer);
    if (state.sending) return state.sending.then(() => (state.entry && state.conflict === null && !state.refused ? send(record) : undefined));
    if (!state.entry) return Promise.resolve();
    const {entry} = state;
    state.sending = post('draft', bodyOf(record, entry, state.version), keepalive).then((answer) => {
      Object.assign(state, {version: answer.version, tries: 0, refused: '', unsure: null});
      if (state.entry === entry) state.entry = null;
      if (state.entry) Object.assign(state.entry, {version: answer.version, unsure: null});
      remember(record);
      told(record, answer);
    }, (error) => {
      if (error.status === 409) { state.conflict = error.version; hooks.conflict(record); return; }
      if (error.status >= 400 && error.status < 500) { state.refused = error.message; hooks.refused(record, error.message); return; }
      state.unsure ??= {values: entry.values, marks: entry.marks};
      const wait = RETRY_MS[Math.min(state.tries, RETRY_MS.length - 1)];
      state.tries += 1;
      soon(record, wait);
      hooks.failed(record, error.message);
    }).finally(() => { state.sending = null; });
    return state.sending;
  };
  const told = async (record, answer) => {
    await answered();
    hooks.saved(record, answer, !of(record).entry);
  };

  const change = (record, {values, marks}) => {
    const state = of(record);
    state.entry = {values, marks, version: state.version, unsure: state.unsure, at: Date.now()};
    state.refused = '';
    remember(record);
    if (state.conflict === null) soon(record);
  };

  const forget = (record) => {
    const state = of(record);
    clearTimeout(state.timer);
    Object.assign(state, {entry: null, refused: '', conflict: null, tries: 0, unsure: null});
    // What another window keeps of this record stays there until somebody has read it.
    remember(record);
  };

  // A record was ended with what "entry" held. What was typed since, where somebody went back to it, is kept and goes over it.
  const ended = (record, entry, version) => {
    if (of(record).entry === entry || !of(record).entry) forget(record);
    rebase(record, version);
    if (of(record).entry) soon(record);
  };
  const rebase = (record, version) => {
    const state = of(record);
    Object.assign(state, {version, conflict: null, unsure: null});
    if (!state.entry) return;
    Object.assign(state.entry, {version, unsure: null});
    remember(record);
  };
  // A record was not ended: what was given is a draft, unless something was typed since. Returns what is kept.
  const giveBack = (record, entry, {values, marks}, unsure) => {
    const state = of(record);
    if (unsure) state.unsure ??= {values, marks};
    if (state.entry === entry || !state.entry) change(record, {values, marks});
    return state.entry;
  };

  // A card as the server has it is put on the screen: returns what this browser has beyond that, if anything. It is sent at once:
  // whether another window has changed the record, or the server has this already, only the server can tell.
  const meet = (record, version) => {
    const state = of(record);
    if (!state.entry) {
      const left = stored().filter(({key}) => key.startsWith(`${PREFIX}${record}:`)).sort((one, other) => other.entry.at - one.entry.at)[0];
      if (left) {
        Object.assign(state, {entry: left.entry, version: left.entry.version, unsure: left.entry.unsure ?? null});
        if (!left.own) local.removeItem(left.key);
        remember(record);
      }
    }
    if (!state.entry) { state.version = version; return null; }
    if (state.conflict === null) soon(record, 0);
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
    while (of(record).sending) await of(record).sending;
    clearTimeout(of(record).timer);
  };

  const flush = (keepalive) => known.forEach((state, record) => {
    if (state.entry && state.conflict === null && !state.refused && !state.sending) send(record, keepalive);
  });
  // A page that is left for good or for another one; a phone may never come back to one that it hides.
  window.addEventListener('pagehide', () => flush(true));
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'hidden') flush(true); });
  window.addEventListener('online', () => flush(false));

  // What a window that is gone could not send. The record on the screen has its own way (meet).
  const rescue = (shown) => stored().forEach(({key, entry, text}) => {
    const record = key.slice(PREFIX.length).split(':')[0];
    if (record === shown || of(record).entry) return;
    post('draft', bodyOf(record, entry, entry.version)).then(() => {
      // Unless its window is there after all, and has written more in the meantime.
      if (local.getItem(key) === text) local.removeItem(key);
    }, () => { /* It waits until its record is opened. */ });
  });

  window.pairloopDrafts = {
    post,
    answered,
    hooks,
    change,
    forget,
    ended,
    rebase,
    giveBack,
    meet,
    keepMine,
    settle,
    send,
    rescue,
    serves: (reader) => { view = reader; },
    entry: (record) => of(record).entry,
    version: (record) => of(record).version,
    refusal: (record) => of(record).refused,
    conflict: (record) => of(record).conflict,
    // Over which response something is given.
    over: (record) => ({version: of(record).version, unsure: of(record).unsure ?? undefined}),
    clash: (record, version) => { of(record).conflict = version; },
    waiting: (record) => Boolean(of(record).entry),
  };
})();
