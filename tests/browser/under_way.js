// Notes what a page has under way, so that a test can wait as a person does: until what was asked for has come, and stands still.
// Heartbeats and streams of answers stay open for long and do not count; an event does, from its being sent to its first answer.
(() => {
  const requests = new Set();
  const due = new Set();
  const early = new Set();
  let stirred = 0;

  const answered = (id) => { if (!due.delete(id)) early.add(id); };
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
    requests.add(request);
    const over = () => requests.delete(request);
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
    requests.add(this);
    this.addEventListener('loadend', () => requests.delete(this));
    send.apply(this, given);
  };
  // The code of a part comes when the part is first shown; its modules are named in the head.
  const followModule = (link) => {
    if (link.nodeName !== 'LINK' || !['modulepreload', 'stylesheet'].includes(link.rel)) return;
    requests.add(link);
    ['load', 'error'].forEach((name) => link.addEventListener(name, () => requests.delete(link)));
  };
  // What comes is put on the screen in steps: parts are made, and filled when they are there.
  new MutationObserver((records) => {
    stirred += 1;
    records.forEach(({addedNodes, removedNodes}) => {
      addedNodes.forEach(followModule);
      removedNodes.forEach((node) => requests.delete(node));
    });
  }).observe(document, {childList: true, subtree: true});

  // Resolves when nothing was under way and no part came or went for some frames in a row; to false where that takes too long.
  window.pairloopSettled = (frames, patience) => new Promise((resolve) => {
    const end = performance.now() + patience;
    let quiet = 0;
    let before = stirred;
    const look = () => {
      const busy = requests.size || due.size || stirred !== before || document.readyState !== 'complete';
      before = stirred;
      quiet = busy ? 0 : quiet + 1;
      if (quiet >= frames) resolve(true);
      else if (performance.now() > end) resolve(false);
      else requestAnimationFrame(() => setTimeout(look, 5));
    };
    look();
  });
})();
