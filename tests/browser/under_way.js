// Notes what a page has under way, so that a test can wait as a person does: until what was asked for has come, and stands still.
// Heartbeats and streams of answers stay open for long and do not count; an event does, from its being sent to its first answer.
(() => {
  const requests = new Set();
  const due = new Set();
  const early = new Set();
  // Goes up with all that happens; where it stood when the page was last found to stand still.
  let stirred = 0;
  let still = -1;
  const stir = () => { stirred += 1; };

  const answered = (id) => { stir(); if (!due.delete(id)) early.add(id); };
  const follow = (answer) => {
    let rest = '';
    const decoder = new TextDecoder();
    const read = (chunk) => {
      const messages = (rest + decoder.decode(chunk, {stream: true})).split('\n\n');
      rest = messages.pop();
      messages.forEach((message) => {
        const {msg, event_id: id} = JSON.parse(message.slice('data:'.length));
        // A run that goes on answers again and again, and does not keep anybody waiting.
        if (['process_completed', 'process_generating'].includes(msg)) answered(id);
      });
    };
    const source = answer.body.getReader();
    const body = new ReadableStream({
      async pull(page) {
        try {
          const {done, value} = await source.read();
          if (done) { page.close(); return; }
          read(value);
          page.enqueue(value);
        } catch (error) {
          // Nobody answers what is due any more.
          due.clear();
          page.error(error);
        }
      },
      cancel: (reason) => source.cancel(reason),
    });
    return new Response(body, answer);
  };

  const plain = window.fetch;
  window.fetch = async (input, init) => {
    const {pathname} = new URL(input instanceof Request ? input.url : input, location.href);
    if (pathname.includes('/heartbeat/')) return plain(input, init);
    const request = {};
    stir();
    requests.add(request);
    const over = () => { stir(); requests.delete(request); };
    try {
      const answer = await plain(input, init);
      if (pathname.endsWith('/queue/data')) { over(); return answer.ok ? follow(answer) : answer; }
      answer.clone().text().then((text) => {
        if (!pathname.endsWith('/queue/join') || !answer.ok) return;
        const {event_id: id} = JSON.parse(text);
        if (!early.delete(id)) due.add(id);
      }).catch(() => { /* It broke off: nothing more comes. */ }).finally(over);
      return answer;
    } catch (error) {
      over();
      throw error;
    }
  };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...given) {
    stir();
    requests.add(this);
    this.addEventListener('loadend', () => { stir(); requests.delete(this); });
    send.apply(this, given);
  };
  // The code of a part comes when the part is first shown; its modules are named in the head.
  const followModule = (link) => {
    if (link.nodeName !== 'LINK' || !['modulepreload', 'stylesheet'].includes(link.rel)) return;
    requests.add(link);
    ['load', 'error'].forEach((name) => link.addEventListener(name, () => { stir(); requests.delete(link); }));
  };
  // What comes is put on the screen in steps: parts are made, and filled when they are there.
  new MutationObserver((records) => {
    stir();
    records.forEach(({addedNodes, removedNodes}) => {
      addedNodes.forEach(followModule);
      removedNodes.forEach((node) => requests.delete(node));
    });
  }).observe(document, {childList: true, characterData: true, subtree: true});
  // What somebody does may have its effect a moment later.
  ['click', 'input', 'change', 'submit', 'keydown', 'focusin', 'drop', 'scroll', 'resize'].forEach((name) => {
    window.addEventListener(name, stir, true);
  });
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', stir);

  // A page behind another one is drawn once in a second only.
  const nextFrame = (then) => {
    let over = false;
    const once = () => { if (!over) { over = true; then(); } };
    requestAnimationFrame(once);
    setTimeout(once, 150);
  };

  // Resolves when nothing was under way and no part came or went for some frames in a row; to false where that takes too long.
  window.pairloopSettled = (frames, patience) => new Promise((resolve) => {
    const end = performance.now() + patience;
    let quiet = 0;
    let before = stirred;
    const waits = () => requests.size || due.size || document.readyState !== 'complete';
    // Nothing has happened since it was looked at last.
    if (stirred === still && !waits()) { resolve(true); return; }
    const look = () => {
      const busy = stirred !== before || waits();
      before = stirred;
      quiet = busy ? 0 : quiet + 1;
      if (quiet >= frames) { still = stirred; resolve(true); }
      else if (performance.now() > end) resolve(false);
      else nextFrame(() => setTimeout(look, 5));
    };
    look();
  });
})();
