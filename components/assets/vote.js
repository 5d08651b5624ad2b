// Compare: what was chosen in the answers' own controls (criteria, places of a ranking), the time to read, and the keys of a ranking.
// Choices are kept in the session storage of this browser tab until the vote is stored.
(() => {
  const STORED = 'pairloop-ballots';
  const storage = (() => { try { return window.sessionStorage; } catch { return null; } })();
  const ballots = JSON.parse((storage && storage.getItem(STORED)) || '{}');
  const remember = () => { if (storage) storage.setItem(STORED, JSON.stringify(ballots)); };
  const screen = () => document.getElementById('compare-screen');
  const heading = () => document.querySelector('#compare-pair [data-shows]');
  const all = (selector) => [...document.querySelectorAll(selector)];
  const checked = (group) => group.querySelector('input:checked');
  const places = () => all('#compare-pair [data-place-of]');

  const read = () => ({
    criteria: Object.fromEntries(all('#compare-criteria [data-criterion]').filter(checked)
      .map((group) => [group.dataset.criterion, checked(group).value])),
    places: places().map((group) => (checked(group) ? Number(checked(group).value) : 0)),
  });
  window.pairloopBallot = () => JSON.stringify(read());

  // Which cards have no place yet is seen on them; the one that the next digit goes to is marked.
  const current = () => {
    const groups = places();
    return groups.find((group) => group.closest('.pl-side').contains(document.activeElement)) || groups.find((group) => !checked(group));
  };
  const mark = () => {
    const next = current();
    places().forEach((group) => group.closest('.pl-side').classList.toggle('pl-next', group === next));
  };
  const place = (digit) => {
    const group = current();
    const choice = group && group.querySelector(`input[value="${digit}"]`);
    if (!choice) return false;
    const moved = group.closest('.pl-side').contains(document.activeElement);
    choice.click();
    // A card that had the focus hands it on; otherwise the next card without a place is next by itself.
    const rest = places().find((other) => !checked(other));
    if (moved && rest) rest.querySelector('input').focus();
    mark();
    return true;
  };
  const give = () => {
    const button = document.getElementById('vote-rank');
    if (!window.pairloopKeys.visible(button)) return false;
    button.click();
    return true;
  };
  const vote = (id, digit) => () => {
    if (places().length) return place(digit);
    const button = document.getElementById(id);
    if (!window.pairloopKeys.visible(button)) return false;
    button.click();
    return true;
  };
  window.pairloopKeys.on('compare', {
    a: vote('vote-a', 1),
    b: vote('vote-b', 2),
    tie: vote('vote-tie', 3),
    bad: vote('vote-bad', 4),
    other: (key, event) => {
      if (/^[5-6]$/.test(key)) return place(Number(key));
      // On a button or a link Enter is its own.
      return key === 'Enter' && !event.target.closest('button, a, summary') && give();
    },
  });

  document.addEventListener('change', (event) => {
    if (!event.target.closest || !event.target.closest('#compare-pair, #compare-criteria')) return;
    const shown = heading();
    if (!shown) return;
    ballots[shown.dataset.shows] = read();
    remember();
    mark();
  });

  const choose = (group, value) => {
    const choice = group && group.querySelector(`input[value="${value}"]`);
    if (choice) choice.checked = true;
  };
  const reset = () => all('#compare-pair [data-place-of] input, #compare-criteria input').forEach((choice) => {
    choice.checked = choice.defaultChecked;
  });
  const restore = (shown) => {
    const kept = ballots[shown];
    if (!kept) return;
    all('#compare-criteria [data-criterion]').forEach((group) => choose(group, kept.criteria[group.dataset.criterion]));
    places().forEach((group, n) => choose(group, kept.places[n]));
  };

  // A time to read, where the comparison asks for one: the server refuses an earlier vote, here one sees how long it is.
  let opensAt = 0;
  let ticking = null;
  const tell = () => {
    const left = Math.ceil((opensAt - Date.now()) / 1000);
    const note = document.getElementById('vote-read');
    if (left > 0 && heading()) {
      screen().dataset.reading = '';
      if (note) note.textContent = `Read both answers: you can vote in ${left} s.`;
      return;
    }
    clearInterval(ticking);
    if (screen()) delete screen().dataset.reading;
    if (note) note.textContent = '';
  };
  // The pair whose vote is on its way.
  let sent = '';
  document.addEventListener('click', (event) => {
    if (!event.target.closest('#vote-a, #vote-b, #vote-tie, #vote-bad, #vote-rank') || !screen()) return;
    if (!('reading' in screen().dataset)) { sent = before; return; }
    event.preventDefault();
    event.stopImmediatePropagation();
    document.getElementById('vote-read')?.classList.add('pl-warn');
  }, true);

  let before = '';
  new MutationObserver(() => {
    const shown = heading() ? heading().dataset.shows : '';
    // A vote that was refused is none.
    if (sent && document.querySelector('.toast-body.error')) sent = '';
    if (shown === before) return;
    // A pair that was judged leaves nothing behind; one that only left the screen keeps its choices.
    if (sent && sent === before) {
      delete ballots[sent];
      remember();
    }
    sent = '';
    before = shown;
    if (!shown) return;
    const wait = Number(heading().dataset.read || 0);
    opensAt = Date.now() + 1000 * wait;
    clearInterval(ticking);
    if (wait) ticking = setInterval(tell, 200);
    tell();
    document.getElementById('vote-read')?.classList.remove('pl-warn');
    // Gradio keeps elements that are alike, and with them what was chosen for the pair before.
    reset();
    // After Gradio has put the criteria of this pair on the screen too.
    setTimeout(() => { reset(); restore(shown); mark(); }, 0);
  }).observe(document.documentElement, {childList: true, subtree: true});
  document.addEventListener('focusin', mark);
})();
