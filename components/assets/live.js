// Parts of a screen that stay true while somebody looks: <div data-live="address" data-every="5">. What comes is put over what stands
// there, node by node: nothing flickers, and the focus, the scroll position and what is folded open stay. A part that nobody sees, in
// a tab that is not open or a window in the background, asks for nothing. What somebody does here asks soon after. Also the seconds
// that are left of a sprint.
(() => {
  const TICK_MS = 1000;
  const GIVE_UP_MS = 20000;
  // The server counts a sprint once a second, whoever asks.
  const SOON_MS = 1200;
  const CHANGES = /\/annotate\/(end|undo)$|\/queue\/join$/;
  const asked = new WeakMap();

  const morph = (now, next) => {
    if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) { now.replaceWith(next); return; }
    if (now.nodeType !== Node.ELEMENT_NODE) { if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue; return; }
    // Whether something is folded open is the reader's choice.
    const own = (name) => name === 'open' && now.nodeName === 'DETAILS';
    [...now.attributes].forEach(({name}) => { if (!next.hasAttribute(name) && !own(name)) now.removeAttribute(name); });
    [...next.attributes].forEach(({name, value}) => { if (now.getAttribute(name) !== value && !own(name)) now.setAttribute(name, value); });
    fill(now, next);
  };
  const fill = (now, next) => {
    const old = [...now.childNodes];
    const fresh = [...next.childNodes];
    fresh.forEach((node, n) => { if (n < old.length) morph(old[n], node); else now.append(node); });
    old.slice(fresh.length).forEach((node) => node.remove());
  };

  const ask = async (part) => {
    const state = asked.get(part) || {at: -Infinity, waiting: false, over: false, shown: null};
    asked.set(part, state);
    const address = part.dataset.live;
    if (state.address !== address) Object.assign(state, {address, at: -Infinity, over: false});
    if (state.waiting || state.over || performance.now() - state.at < 1000 * Number(part.dataset.every || 5)) return;
    state.waiting = true;
    state.at = performance.now();
    try {
      const answer = await plain(new URL(address, document.baseURI), {cache: 'no-store', signal: AbortSignal.timeout(GIVE_UP_MS)});
      // Whoever may not see it is not told again and again.
      if (answer.status === 401 || answer.status === 403) state.over = true;
      if (answer.ok && part.dataset.live === address) {
        const text = await answer.text();
        const body = new DOMParser().parseFromString(text, 'text/html').body;
        fill(part, body);
        count();
      }
    } catch { /* No answer: what stands there stays, and the header says that there is no connection. */ }
    state.waiting = false;
  };

  // What is left of a time, in words as the server writes them.
  const words = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    const two = (n) => String(n).padStart(2, '0');
    if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  };
  const ends = new WeakMap();
  const count = () => document.querySelectorAll('[data-left]').forEach((clock) => {
    const known = ends.get(clock);
    // By this browser's clock alone: the server says how many seconds are left, and never what time it is.
    if (!known || known.said !== clock.dataset.left) ends.set(clock, {said: clock.dataset.left, at: performance.now() + 1000 * Number(clock.dataset.left)});
    const text = words((ends.get(clock).at - performance.now()) / 1000);
    if (clock.textContent !== text) clock.textContent = text;
  });

  let wanted = Infinity;
  const look = () => {
    if (document.visibilityState !== 'visible') return;
    // Until it is known who looks (header.py), nothing is asked: what is not for a role is hidden then, and asks for nothing.
    if (!document.querySelector('#header [data-name]:enabled')) return;
    const anew = performance.now() > wanted;
    if (anew) wanted = Infinity;
    document.querySelectorAll('[data-live]').forEach((part) => {
      if (!part.getClientRects().length) return;
      if (anew && asked.has(part)) asked.get(part).at = -Infinity;
      ask(part);
    });
    count();
  };
  const plain = window.fetch;
  window.fetch = async (input, init) => {
    const {pathname} = new URL(input instanceof Request ? input.url : input, location.href);
    const answer = await plain(input, init);
    if (CHANGES.test(pathname)) wanted = Math.min(wanted, performance.now() + SOON_MS);
    return answer;
  };
  setInterval(look, TICK_MS);
  document.addEventListener('visibilitychange', look);

  // The window is called after the workspace.
  const title = () => {
    const name = document.querySelector('[data-workspace]')?.dataset.workspace;
    const wanted = name ? `${name} · Pairloop` : 'Pairloop';
    if (document.title !== wanted) document.title = wanted;
  };
  new MutationObserver(title).observe(document.documentElement, {childList: true, subtree: true});
})();
