// What Gradio has no option for: citations that light their source, the document drawer, typed text that is never lost, and clicks
// that are always answered.
// Keeps what is not saved yet in the session storage of this browser tab, and nothing else.
(() => {
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

  // Gradio takes Tab for a key that opens the list of a dropdown, which then stays open over what is below it; Escape closes it.
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Tab' || !event.target.matches || !event.target.matches('input[role=combobox][aria-autocomplete]')) return;
    event.stopPropagation();
    event.target.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));
  }, true);

  const visible = window.pairloopKeys.visible;
  const press = (id) => {
    const element = document.getElementById(id);
    const target = element && (element.matches('button') ? element : element.querySelector('button'));
    if (!visible(target)) return false;
    target.click();
    return true;
  };

  const toggleSources = () => {
    const all = [...document.querySelectorAll('#compare-screen .pl-source')];
    const open = all.some((source) => !source.open);
    all.forEach((source) => { source.open = open; });
    const folded = document.querySelector('#compare-sources > button');
    if (folded && !all.length) folded.click();
  };
  window.pairloopKeys.on('compare', {
    undo: () => press('vote-undo'),
    sources: toggleSources,
  });

  const screenOf = (element) => element.closest('.pl-record, .pl-review-item, .pl-screen') || document;
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
        source.querySelector('[data-chunk]')?.click();
      }
    }
    if (event.target.closest('[data-close-drawer]')) closeDrawer();
  });
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') closeDrawer(); });

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
      const places = {edit: ['dataset', 'record'], tune: ['model', 'row'], results: ['vote']};
      Object.keys(places).filter((other) => other !== tab).forEach((other) => places[other].forEach((name) => address.searchParams.delete(name)));
      history.replaceState(history.state, '', address);
    }
    tabBefore = tab || tabBefore;
  };

  // Gradio refuses a whole upload because of one large file, in units of its own. Here that one is named and the others go in.
  const takeFiles = (event) => {
    const block = event.target.closest && event.target.closest('#documents-upload, #runs-file, #records-upload, #votes-upload, #storage-import');
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

  // What is typed, by the pair that it belongs to, until the server has it. Gradio's own "change" fires for what the server puts on
  // the screen too, and while one pair takes the place of another it reads fields of both; so it is the page's own input events
  // that tell what a person did. Edit keeps its texts itself (edit_drafts.js).
  const storage = (() => { try { return window.sessionStorage; } catch { return null; } })();
  const FIELDS = {compare: {reason: '#vote-reason textarea', correction: '#vote-correction textarea'}};
  const typed = JSON.parse((storage && storage.getItem('pairloop-typed')) || '{}');
  const remember = () => { if (storage) storage.setItem('pairloop-typed', JSON.stringify(typed)); };
  const shownOn = (screen) => {
    const shown = document.querySelector(`#${screen}-screen [data-shows]`);
    return shown ? shown.dataset.shows : '';
  };
  const readScreen = (screen) => {
    const found = Object.entries(FIELDS[screen]).map(([name, selector]) => [name, document.querySelector(selector)]);
    return found.every(([, field]) => field) ? Object.fromEntries(found.map(([name, field]) => [name, field.value])) : null;
  };
  const writeScreen = (screen, values) => Object.entries(FIELDS[screen]).forEach(([name, selector]) => {
    const field = document.querySelector(selector);
    if (field.value === values[name]) return;
    field.value = values[name];
    field.dispatchEvent(new Event('input', {bubbles: true}));
  });
  document.addEventListener('input', (event) => {
    const screen = Object.keys(FIELDS).find((name) => event.target.closest(Object.values(FIELDS[name]).join()));
    const shown = screen && shownOn(screen);
    if (!shown) return;
    typed[shown] = {screen, values: readScreen(screen)};
    remember();
  });

  // From a vote to the next pair, the fields are locked: what is typed meanwhile would belong to neither.
  const ENDS = '#vote-a, #vote-b, #vote-tie, #vote-bad, #vote-rank';
  const ending = {};
  const lock = (screen, on) => Object.values(FIELDS[screen]).forEach((selector) => {
    const field = document.querySelector(selector);
    if (field) field.readOnly = on;
  });
  // Whoever presses twice has not read what came after the first press: it takes no vote before it has stood there for a moment.
  // A press that came too early is seen on the buttons; without one, nothing flickers. Keys arrive as clicks.
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
    // While there is to be read no vote is sent (vote.js), and nothing ends.
    if ('reading' in dataset) return;
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

  new MutationObserver(() => {
    showDrawer();
    followTab();
    Object.keys(FIELDS).forEach(followShown);
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
