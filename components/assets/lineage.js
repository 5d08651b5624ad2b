// Places within the app: a link to a model, a training row or a vote opens it on its screen without loading the page anew, and the
// page's address leads to it. Also the keys and presses of the review of proposed queries.
(() => {
  // Of each kind: its tab, the panel within it, and what the address calls it, the narrower after the wider.
  const KINDS = {
    model: {tab: 'tune', panel: ['#tune-panels', 'models'], names: ['model', 'row']},
    vote: {tab: 'results', names: ['vote']},
  };
  // What is asked for and not opened yet, and what was opened last.
  const wanted = {};
  const last = {};
  const doors = {};
  const read = (address, kind) => KINDS[kind].names.map((name) => address.searchParams.get(name) || '').join('/').replace(/\/$/, '');
  const of = (address) => Object.keys(KINDS).find((kind) => address.searchParams.get('tab') === KINDS[kind].tab
    && KINDS[kind].names.some((name) => address.searchParams.has(name)));
  const tabNamed = (within, name) => [...document.querySelectorAll(`${within} button[role=tab]`)].find((tab) => tab.textContent.trim().toLowerCase() === name);
  const isOpen = (tab) => tab.getAttribute('aria-selected') === 'true';

  // The address follows what is open.
  const follow = (kind, place) => {
    const {tab, names} = KINDS[kind];
    const address = new URL(location.href);
    address.searchParams.set('tab', tab);
    names.forEach((name, n) => {
      const part = place.split('/')[n];
      if (part) address.searchParams.set(name, part); else address.searchParams.delete(name);
    });
    history.replaceState(history.state, '', address);
  };

  // Opens the tab and the panel, whose own listeners ask what is wanted; where they are open already, the door tells the server.
  // Gradio may draw its tabs anew while a page loads, and opens the first panel again: so it is looked after for a while, until
  // the person does something.
  const STEP_MS = 60;
  const GIVE_UP_MS = 20000;
  const ASKED_MS = 2000;
  const LOOK_AFTER_MS = 5000;
  let going = null;
  ['click', 'keydown'].forEach((name) => document.addEventListener(name, (event) => { if (event.isTrusted) going = null; }, true));
  const go = (kind, place) => {
    const {tab, panel} = KINDS[kind];
    wanted[kind] = last[kind] = place;
    const mine = going = {};
    const until = Date.now() + GIVE_UP_MS;
    let pressed = 0;
    let opened = 0;
    const step = () => {
      if (going !== mine || Date.now() > until) return;
      const again = () => { setTimeout(step, STEP_MS); };
      const main = tabNamed('#tabs', tab);
      const inner = panel && tabNamed(panel[0], panel[1]);
      if (!main || (panel && isOpen(main) && !inner)) { again(); return; }
      if (!isOpen(main)) { main.click(); if (panel) again(); return; }
      if (inner && !isOpen(inner)) { inner.click(); pressed = Date.now(); opened = 0; again(); return; }
      if (wanted[kind] !== undefined) {
        // A panel that was pressed just now asks for itself.
        if (!doors[kind] || Date.now() < pressed + ASKED_MS) { again(); return; }
        doors[kind]({place: take(kind)});
      }
      opened = opened || Date.now();
      if (panel && Date.now() < opened + LOOK_AFTER_MS) again();
    };
    step();
  };
  const take = (kind) => { const place = wanted[kind]; delete wanted[kind]; return place; };

  document.addEventListener('click', (event) => {
    const link = event.target.closest && event.target.closest('a[data-go]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const address = new URL(link.href);
    const kind = of(address);
    if (!kind) return;
    event.preventDefault();
    follow(kind, read(address, kind));
    go(kind, read(address, kind));
  });

  const first = new URL(location.href);
  const kind = of(first);
  if (kind) {
    wanted[kind] = read(first, kind);
    // Results asks for itself when its tab is opened by the address; a panel within a tab has to be opened.
    last[kind] = wanted[kind];
    if (KINDS[kind].panel) go(kind, wanted[kind]);
  }

  window.pairloopPlaces = {
    // What the listeners of a screen that is being opened ask: what is wanted, without taking it, or with.
    peek: (name) => wanted[name] || '',
    now: (name, chosen) => take(name) ?? last[name] ?? chosen ?? '',
    opened: (name, place) => { last[name] = place; follow(name, place); },
    door: (name, trigger) => { doors[name] = trigger; },
  };

  // What a link has opened comes with a server answer, often below what is on the screen: it is brought into view, once.
  let shown = '';
  new MutationObserver(() => {
    const opened = [...document.querySelectorAll('[data-opened]')].find(window.pairloopKeys.visible);
    const id = opened ? opened.dataset.opened : '';
    if (id === shown) return;
    shown = id;
    if (opened) opened.scrollIntoView({block: 'start', behavior: 'instant'});
  }).observe(document.documentElement, {childList: true, subtree: true, attributes: true, attributeFilter: ['data-opened']});

  // The review of proposed queries: its keys, which also work over its list and passage, and are silent elsewhere on Ask.
  const pressed = (id) => () => {
    const button = document.getElementById(`proposals-${id}`);
    if (!window.pairloopKeys.visible(button)) return false;
    button.click();
    return true;
  };
  const accept = pressed('accept');
  window.pairloopKeys.on('ask', {
    accept,
    reject: pressed('reject'),
    later: pressed('later'),
    undo: pressed('undo'),
    edit: () => {
      const field = document.querySelector('#proposals-text textarea');
      if (!window.pairloopKeys.visible(field)) return false;
      field.focus();
      return true;
    },
    submit: (key, event) => Boolean(event.target.closest('#proposals-text')) && accept(),
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && event.target.closest && event.target.closest('#proposals-text')) event.target.blur();
  });
})();
