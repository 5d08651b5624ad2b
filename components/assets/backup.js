// What the page says about the back-up stays true: the server is asked every two seconds while something waits, is unsure or lost,
// and after everything that a person does; while all is well and nobody does anything here, less often.
(() => {
  const EVERY_MS = 2000;
  const CALM_MS = 10000;
  const OUT_MS = 30000;
  const GIVE_UP_MS = 5000;
  const HOLD_MS = 500;
  // The routes of the Annotate panel that write what somebody did.
  const CHANGES = /\/annotate\/(draft|end|undo)$/;
  const HEARTBEAT = /\/gradio_api\/heartbeat\//;
  const LOST = {kind: 'lost', text: '! No connection to Pairloop: what you change now is not saved', title: 'Pairloop does not answer.', notes: 0};
  const OUT = {kind: 'lost', text: '! You are signed out: what you change now is not saved', title: 'Sign in again to go on.', notes: 0};
  const UNSURE = {kind: 'checking', text: '… Checking what is backed up', title: '', notes: 0};
  const SETTLED = ['backed_up', 'local'];
  const plain = window.fetch;
  let known = UNSURE;
  let told = '';
  let asked = 0;
  let heard = 0;
  let waiting = 0;
  let leaving = false;
  let last = -Infinity;
  // Whether a person has done something in this page since the server was asked last.
  let touched = false;

  const set = (element, name, value) => { if (element[name] !== value) element[name] = value; };
  const draw = () => {
    // Until something was heard, what the server has put into the page is newer.
    if (!heard) return;
    document.querySelectorAll('[data-backup]').forEach((element) => {
      // In Settings stand the sentences, in the header the one line with the sentences behind it.
      const long = 'backupTitle' in element.dataset;
      set(element, 'textContent', (long && known.title) || known.text);
      if (!long) set(element, 'title', known.title);
      if (element.dataset.backup !== known.kind) element.dataset.backup = known.kind;
    });
  };

  const show = (state) => {
    const before = known;
    known = state;
    draw();
    if (state.kind === 'checking') return;
    // A screen reader hears of another state, and not of every second that passes.
    const teller = document.querySelector('[data-backup-told]');
    if (teller && told && told !== state.kind) teller.textContent = state.text;
    told = state.kind;
    const changed = before.kind !== state.kind || before.notes !== state.notes;
    if (changed && before.kind !== 'checking' && state.kind !== 'lost' && window.pairloopStorage) window.pairloopStorage();
  };

  const ask = async () => {
    const number = asked += 1;
    waiting += 1;
    last = performance.now();
    touched = false;
    let state = LOST;
    try {
      const address = new URL('backup', document.baseURI);
      address.searchParams.set('zone', -new Date().getTimezoneOffset());
      const answer = await plain(address, {cache: 'no-store', signal: AbortSignal.timeout(GIVE_UP_MS)});
      if (answer.ok) state = await answer.json();
      else if (answer.status === 401) state = OUT;
      window.pairloopSignedOut?.(answer.status === 401);
    } catch { /* No answer: that is what is shown. */ }
    waiting -= 1;
    if (leaving) return;
    // An answer that was overtaken by a later one tells of the past.
    if (number > heard) { heard = number; show(state); }
  };

  // Gradio keeps a stream open to say that the page is there. Where it ends, the server or the way to it has gone. It was begun before
  // this script, so that the browser is asked about it.
  new PerformanceObserver((list) => {
    if (!leaving && list.getEntries().some(({name}) => HEARTBEAT.test(name))) ask();
  }).observe({type: 'resource'});

  window.fetch = async (input, init) => {
    const {pathname} = new URL(input instanceof Request ? input.url : input, location.href);
    const changes = pathname.endsWith('/queue/join') || CHANGES.test(pathname);
    let answer;
    try {
      answer = await plain(input, init);
      return answer;
    } finally {
      // What was answered well is told by "answered", once it is done.
      if (changes && !answer?.ok) ask();
    }
  };

  window.pairloopBackup = {
    // What the server has just answered may have changed something. Before the page shows that answer, it does not go on saying
    // that everything is backed up.
    answered: async () => {
      // What was asked before this answer may tell of what was true before it: it is not shown any more, however late it comes.
      heard = asked;
      // Where nothing is sent anywhere there is nothing else to know than that there was an answer. Should the server have been
      // started again with a place to send to, that is heard with the next question.
      if (known.kind === 'local') { last = performance.now(); touched = false; return; }
      if (known.kind !== 'backed_up') { ask(); return; }
      let over = false;
      const asking = ask().then(() => { over = true; });
      await Promise.race([asking, new Promise((resolve) => { setTimeout(resolve, HOLD_MS); })]);
      if (!over) show(UNSURE);
    },
  };

  // A request that ends because the page is left is no lost connection.
  addEventListener('pagehide', () => { leaving = true; });
  addEventListener('pageshow', () => { leaving = false; });
  const look = () => { if (document.visibilityState === 'visible' && !waiting) ask(); };
  const pause = () => {
    if (known === OUT) return OUT_MS;
    if (touched) return 0;
    return SETTLED.includes(known.kind) ? CALM_MS : EVERY_MS;
  };
  // At the tick that is nearest to the end of the pause.
  setInterval(() => { if (performance.now() - last > pause() - EVERY_MS / 2) look(); }, EVERY_MS);
  document.addEventListener('visibilitychange', look);
  // Of two windows side by side both are visible: in the other one somebody may have signed in.
  addEventListener('focus', () => { if (known === OUT) look(); });
  for (const act of ['pointerdown', 'keydown', 'input']) addEventListener(act, () => { touched = true; }, {capture: true, passive: true});
  look();
  // The header is drawn by Gradio, and drawn anew when somebody takes another name.
  new MutationObserver(draw).observe(document.documentElement, {childList: true, subtree: true});

  const openStorage = () => {
    const tab = (name) => [...document.querySelectorAll('#tabs button[role=tab]')].find((button) => button.textContent.trim() === name);
    tab('Settings')?.click();
    const reach = (tries) => {
      // The panels are drawn when the tab is first opened.
      const panel = tab('Storage');
      if (panel && panel.offsetParent && panel.getAttribute('aria-selected') !== 'true') panel.click();
      const title = document.getElementById('storage-title');
      if (title && title.offsetParent) { title.scrollIntoView({block: 'start'}); title.focus({preventScroll: true}); return; }
      if (tries) setTimeout(() => reach(tries - 1), 50);
    };
    reach(40);
  };
  document.addEventListener('click', (event) => { if (event.target.closest('[data-open-backup]')) openStorage(); });
})();
