// What Gradio has no option for: keys, citations that light their source, the document drawer, typed text that is never lost, and
// clicks that are always answered.
// Keeps what is not saved yet in the session storage of this browser tab, and nothing else.
(() => {
  const KEYS = {
    edit: {'Ctrl+Enter': 'edit-submit', '[': 'edit-back', ']': 'edit-next'},
    compare: {'1': 'vote-a', '2': 'vote-b', '3': 'vote-tie', '4': 'vote-bad', 'z': 'vote-undo'},
  };
  // Gradio's page believes its stream of answers open until it reads that the server has closed it, and the server closes it whenever
  // no answer is due. The answer to an event that is sent while that word is on its way would have no reader, and the page would wait
  // for ever. So the page reads of the end only when every event that it sent is answered; until then the stream is opened again.
  const due = new Set();
  const early = new Set();
  let endRead = null;
  const fetched = window.fetch;
  const encoder = new TextEncoder();

  const noteEvent = async (answer) => {
    const {event_id: id} = await answer.clone().json().catch(() => ({}));
    // Its answer may have come before the word that it was taken.
    if (id && !early.delete(id)) due.add(id);
    await endRead;
  };

  // Passes one stream of the server's on to the page; tells whether the server closed it, or else it broke off.
  const passOn = async (stream, page) => {
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return false;
      const messages = (rest + value).split('\n\n');
      rest = messages.pop();
      for (const message of messages) {
        const {msg, event_id: id} = JSON.parse(message.slice('data:'.length));
        if (msg === 'close_stream') return true;
        if (msg === 'process_completed' && !due.delete(id)) early.add(id);
        if (msg === 'process_completed') await window.pairloopBackup.answered();
        page.enqueue(encoder.encode(`${message}\n\n`));
      }
    }
  };

  const keepOpen = (first, again) => new ReadableStream({
    async start(page) {
      let closed = await passOn(first, page).catch(() => false);
      while (closed && due.size) closed = await passOn(await again(), page).catch(() => false);
      // Gradio takes this for a lost connection and says so; with nothing due, it need not.
      if (due.size) throw new Error('The connection to the server was lost before every answer had come.');
      page.enqueue(encoder.encode('data: {"msg": "close_stream"}\n\n'));
      page.close();
      // What is taken from now on needs a new stream, which the page opens once it has read this.
      endRead = new Promise((resolve) => { setTimeout(resolve, 50); });
    },
  });

  window.fetch = async (input, init) => {
    const answer = await fetched(input, init);
    const {pathname} = new URL(input instanceof Request ? input.url : input, location.href);
    if (pathname.endsWith('/queue/join')) await noteEvent(answer);
    if (!pathname.endsWith('/queue/data') || !answer.ok) return answer;
    return new Response(keepOpen(answer, () => fetched(input, init)), answer);
  };

  const visible = (element) => element && element.offsetParent !== null && !element.disabled;
  const button = (id) => {
    const element = document.getElementById(id);
    return element && (element.matches('button') ? element : element.querySelector('button'));
  };
  const typing = (target) => {
    if (target.isContentEditable || target.matches('textarea, select')) return true;
    return target.matches('input') && !['radio', 'checkbox', 'button', 'submit'].includes(target.type);
  };
  const currentTab = () => ['edit', 'compare'].find((name) => visible(document.getElementById(`${name}-screen`)));

  const press = (id, event) => {
    const target = button(id);
    if (!visible(target)) return;
    event.preventDefault();
    target.click();
  };

  // 1 to 5 rate: the first rating without a value, or the one that has the focus.
  const rate = (key, event) => {
    const groups = [...document.querySelectorAll('#edit-screen .pl-rating')].filter(visible);
    const focused = groups.find((group) => group.contains(document.activeElement));
    const group = focused || groups.find((candidate) => !candidate.querySelector('input:checked'));
    const input = group && [...group.querySelectorAll('input')][Number(key) - 1];
    if (!input) return;
    event.preventDefault();
    input.click();
  };

  const help = (open) => {
    const dialog = document.getElementById('pl-keys');
    if (!dialog) return;
    if (open) dialog.showModal(); else dialog.close();
  };

  document.addEventListener('keydown', (event) => {
    const combined = (event.ctrlKey || event.metaKey) && event.key === 'Enter';
    if (event.key === 'Escape') closeDrawer();
    if (event.repeat || (typing(event.target) && !combined)) return;
    if (!combined && (event.ctrlKey || event.metaKey || event.altKey)) return;
    if (document.querySelector('dialog[open]')) return;
    if (event.key === '?') { event.preventDefault(); help(true); return; }
    const tab = currentTab();
    if (!tab) return;
    if (tab === 'edit' && /^[1-5]$/.test(event.key)) { rate(event.key, event); return; }
    if (tab === 'compare' && event.key.toLowerCase() === 's') { event.preventDefault(); toggleSources(); return; }
    const id = KEYS[tab][combined ? 'Ctrl+Enter' : event.key.toLowerCase()];
    if (id) press(id, event);
  });

  const toggleSources = () => {
    const all = [...document.querySelectorAll('#compare-screen .pl-source')];
    const open = all.some((source) => !source.open);
    all.forEach((source) => { source.open = open; });
    const folded = document.querySelector('#compare-sources > button');
    if (folded && !all.length) folded.click();
  };

  const screenOf = (element) => element.closest('.pl-screen') || document;
  const light = (cite, on) => {
    const source = screenOf(cite).querySelector(`.pl-source[data-source="${cite.dataset.cite}"]`);
    if (source) source.classList.toggle('pl-lit', on);
    return source;
  };
  document.addEventListener('mouseover', (event) => {
    const cite = event.target.closest && event.target.closest('[data-cite]');
    if (cite) light(cite, true);
  });
  document.addEventListener('mouseout', (event) => {
    const cite = event.target.closest && event.target.closest('[data-cite]');
    if (cite) light(cite, false);
  });

  const closeDrawer = () => {
    const drawer = document.querySelector('.pl-drawer');
    if (drawer) drawer.remove();
  };
  document.addEventListener('click', (event) => {
    const cite = event.target.closest('[data-cite]');
    if (cite) {
      const source = light(cite, true);
      if (source) {
        source.open = true;
        source.querySelector('[data-chunk]').click();
      }
    }
    if (event.target.closest('[data-close-drawer]')) closeDrawer();
    if (event.target.closest('[data-open-keys]')) help(true);
    if (event.target.closest('[data-close-keys]')) help(false);
  });

  // The drawer arrives with a server answer: bring the cited passage into view and give the drawer the focus.
  const showDrawer = () => {
    const drawer = document.querySelector('.pl-drawer:not([data-shown])');
    if (!drawer) return;
    drawer.dataset.shown = 'yes';
    const mark = drawer.querySelector('mark');
    if (mark) mark.scrollIntoView({block: 'center'});
    drawer.focus();
  };

  // The address follows the open tab, so that a reload, also Gradio's own after a restart, comes back to it.
  let tabBefore = null;
  const followTab = () => {
    const open = document.querySelector('#tabs button[role=tab][aria-selected=true]');
    const tab = open && open.textContent.trim().toLowerCase();
    if (tab && tabBefore && tab !== tabBefore) {
      const address = new URL(location.href);
      address.searchParams.set('tab', tab);
      history.replaceState(history.state, '', address);
    }
    tabBefore = tab || tabBefore;
  };

  // Gradio refuses a whole upload because of one large file, in units of its own. Here that one is named and the others go in.
  const takeFiles = (event) => {
    const block = event.target.closest && event.target.closest('#documents-upload, #runs-file, #storage-import');
    const input = block && block.querySelector('input[type=file]');
    const limit = window.gradio_config && window.gradio_config.max_file_size;
    const files = [...((event.type === 'drop' ? event.dataTransfer : input) || {files: []}).files];
    if (!input || !limit) return;
    document.querySelectorAll('.pl-too-large').forEach((note) => note.remove());
    const large = files.filter((file) => file.size > limit);
    if (!large.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const note = document.createElement('p');
    note.className = 'pl-note pl-bad pl-too-large';
    note.setAttribute('role', 'alert');
    const names = large.map((file) => file.name).join(', ');
    const advice = block.id === 'storage-import' ? 'Start' : 'Split the file, or start';
    note.textContent = `× ${names} ${large.length > 1 ? 'are' : 'is'} larger than ${limit / 1e6} MB. ${advice} the app with a larger PAIRLOOP_MAX_UPLOAD_MB.`;
    const others = new DataTransfer();
    files.filter((file) => file.size <= limit).forEach((file) => others.items.add(file));
    input.files = others.files;
    if (others.files.length) input.dispatchEvent(new Event('change', {bubbles: true}));
    block.after(note);
  };
  document.addEventListener('change', takeFiles, true);
  document.addEventListener('drop', takeFiles, true);

  // What is typed, by the record or pair that it belongs to, until the server has it. Gradio's own "change" fires for what the
  // server puts on the screen too, and while one record takes the place of another it reads fields of both; so it is the page's
  // own input events that tell what a person did.
  const storage = (() => { try { return window.sessionStorage; } catch { return null; } })();
  const FIELDS = {
    edit: {query_rating: '#edit-query-rating', context_rating: '#edit-context-rating', answer: '#edit-answer textarea'},
    compare: {reason: '#vote-reason textarea', correction: '#vote-correction textarea'},
  };
  const typed = JSON.parse((storage && storage.getItem('pairloop-typed')) || '{}');
  const remember = () => { if (storage) storage.setItem('pairloop-typed', JSON.stringify(typed)); };
  const shownOn = (screen) => {
    const shown = document.querySelector(`#${screen}-screen [data-shows]`);
    return shown ? shown.dataset.shows : '';
  };
  const readField = (field) => {
    if (field.matches('textarea')) return field.value;
    const chosen = field.querySelector('label.selected input, input:checked');
    return chosen ? Number(chosen.value) : null;
  };
  const readScreen = (screen) => {
    const found = Object.entries(FIELDS[screen]).map(([name, selector]) => [name, document.querySelector(selector)]);
    return found.every(([, field]) => field) ? Object.fromEntries(found.map(([name, field]) => [name, readField(field)])) : null;
  };
  const writeScreen = (screen, values) => Object.entries(FIELDS[screen]).forEach(([name, selector]) => {
    const field = document.querySelector(selector);
    if (readField(field) === values[name]) return;
    if (!field.matches('textarea')) { field.querySelectorAll('input')[values[name] - 1]?.click(); return; }
    field.value = values[name];
    field.dispatchEvent(new Event('input', {bubbles: true}));
  });

  let telling = null;
  const tell = () => {
    clearTimeout(telling);
    // Set by the status line of Edit, which carries the listener.
    telling = setTimeout(() => { if (window.pairloopDraft && window.pairloopDraft.send) window.pairloopDraft.send(); }, 250);
  };
  document.addEventListener('input', (event) => {
    const screen = Object.keys(FIELDS).find((name) => event.target.closest(Object.values(FIELDS[name]).join()));
    const shown = screen && shownOn(screen);
    if (!shown) return;
    // Gradio marks the chosen rating after this event.
    setTimeout(() => {
      if (shownOn(screen) !== shown) return;
      typed[shown] = {screen, values: readScreen(screen), told: false};
      remember();
      if (screen === 'edit') tell();
    });
  });

  let told = null;
  window.pairloopDraft = {
    // What the listener sends instead of Gradio's view of the fields: record, ratings, answer.
    next: () => {
      told = Object.keys(typed).find((shown) => typed[shown].screen === 'edit' && !typed[shown].told) || null;
      if (!told) return ['', null, null, ''];
      typed[told].told = true;
      const {query_rating, context_rating, answer} = typed[told].values;
      return [told, query_rating, context_rating, answer];
    },
    // The server has what was told. A response that was submitted before is no draft: its text stays here until it is submitted again.
    saved: () => setTimeout(() => {
      const line = document.querySelector('#edit-status [data-kept]');
      if (line && typed[line.dataset.kept] && typed[line.dataset.kept].told) delete typed[line.dataset.kept];
      remember();
      if (Object.values(typed).some((entry) => entry.screen === 'edit' && !entry.told)) tell();
    }),
  };

  // From submit or vote to the next record or pair, the fields are locked: what is typed meanwhile would belong to neither.
  const ENDS = '#edit-submit, #edit-discard, #vote-a, #vote-b, #vote-tie, #vote-bad';
  const ending = {};
  const lock = (screen, on) => Object.values(FIELDS[screen]).forEach((selector) => {
    const field = document.querySelector(selector);
    if (field && field.matches('textarea')) field.readOnly = on;
  });
  // Whoever presses twice has not read what came after the first press: it takes no submit and no vote before it has stood there
  // for a moment. A press that came too early is seen on the buttons; without one, nothing flickers. Keys arrive as clicks.
  const REST_MS = 500;
  const GIVE_UP_MS = 5000;
  const resting = {};
  const rest = (screen, time) => {
    const {dataset} = document.getElementById(`${screen}-screen`);
    clearTimeout(resting[screen]);
    dataset.resting = '';
    resting[screen] = setTimeout(() => { delete dataset.resting; delete dataset.early; }, time);
  };
  document.addEventListener('click', (event) => {
    const screen = event.target.closest(ENDS) && Object.keys(FIELDS).find((name) => event.target.closest(`#${name}-screen`));
    if (!screen || !shownOn(screen)) return;
    const {dataset} = document.getElementById(`${screen}-screen`);
    if ('resting' in dataset) {
      dataset.early = '';
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    ending[screen] = shownOn(screen);
    lock(screen, true);
    // Without an answer, for instance when the connection is lost, work goes on where it was.
    rest(screen, GIVE_UP_MS);
    setTimeout(() => lock(screen, false), GIVE_UP_MS);
  }, true);

  const shownBefore = {};
  const followShown = (screen) => {
    const shown = shownOn(screen);
    if (ending[screen] && shown !== ending[screen]) {
      delete typed[ending[screen]];
      remember();
      delete ending[screen];
      lock(screen, false);
    }
    if (ending[screen] && document.querySelector('.toast-body.error')) { delete ending[screen]; lock(screen, false); rest(screen, 0); }
    if (shown === shownBefore[screen]) return;
    if (shownBefore[screen]) rest(screen, shown ? REST_MS : 0);
    shownBefore[screen] = shown;
    if (!typed[shown]) return;
    // After Gradio has filled the fields with what the server knows.
    setTimeout(() => {
      const values = shownOn(screen) === shown && readScreen(screen);
      if (!values || !typed[shown]) return;
      if (JSON.stringify(values) !== JSON.stringify(typed[shown].values)) { writeScreen(screen, typed[shown].values); return; }
      delete typed[shown];
      remember();
    }, 400);
  };

  // A draft of the record before may be answered after the next record is there: its line and its changes are not this one's.
  const hideStrangers = () => document.querySelectorAll('#edit-screen [data-of]').forEach((part) => {
    const strange = part.dataset.of !== shownOn('edit');
    if (part.hidden !== strange) part.hidden = strange;
  });

  new MutationObserver(() => {
    showDrawer();
    followTab();
    Object.keys(FIELDS).forEach(followShown);
    hideStrangers();
  }).observe(document.documentElement, {childList: true, subtree: true, attributes: true, attributeFilter: ['aria-selected']});

  // Long answers of a pair scroll together, by share of their length.
  let leader = null;
  document.addEventListener('scroll', (event) => {
    const card = event.target;
    if (!card.classList || !card.classList.contains('pl-side-text') || (leader && leader !== card)) return;
    leader = card;
    const share = card.scrollTop / Math.max(1, card.scrollHeight - card.clientHeight);
    document.querySelectorAll('.pl-side-text').forEach((other) => {
      if (other !== card) other.scrollTop = share * (other.scrollHeight - other.clientHeight);
    });
    clearTimeout(window.pairloopScroll);
    window.pairloopScroll = setTimeout(() => { leader = null; }, 120);
  }, true);
})();
