// The form of a record: what stands in it, what is put into it, marks, options that are looked for. Knows nothing of the server.
(() => {
  const questions = (card) => [...card.querySelectorAll('[data-question]')];
  const inputs = (question) => [...question.querySelectorAll('input[type=radio], input[type=checkbox]')];
  const area = (question) => question.querySelector('textarea');
  const rows = (question) => [...question.querySelectorAll('[data-ranked]')];
  const suggested = (question) => ('suggested' in question.dataset ? JSON.parse(question.dataset.suggested) : undefined);
  const unix = (text) => text.replace(/\r\n?/g, '\n');
  const changed = (card) => card.dispatchEvent(new CustomEvent('pairloop-changed', {bubbles: true}));

  const rankOf = (row) => {
    const typed = row.querySelector('input[type=number]');
    const chosen = typed || row.querySelector('input:checked');
    return chosen && chosen.value !== '' ? Number(chosen.value) : null;
  };

  const READ = {
    text: (question) => {
      // A text area has no line breaks but its own; who changed nothing shall have changed nothing.
      const proposal = suggested(question);
      const {value} = area(question);
      return typeof proposal === 'string' && unix(proposal) === value ? proposal : value;
    },
    rating: (question) => { const box = question.querySelector('input:checked'); return box ? Number(box.value) : null; },
    label: (question) => { const box = question.querySelector('input:checked'); return box ? box.value : null; },
    multi_label: (question) => inputs(question).filter((box) => box.checked).map((box) => box.value),
    ranking: (question) => rows(question).filter((row) => rankOf(row) !== null)
      .map((row) => ({value: row.dataset.ranked, rank: rankOf(row)})),
  };
  const valueOf = (question) => READ[question.dataset.kind](question);

  const check = (question, wanted) => inputs(question).forEach((box) => { box.checked = wanted.includes(box.value); });
  const PUT = {
    text: (question, value) => { area(question).value = value ?? ''; grow(area(question)); },
    rating: (question, value) => check(question, value == null ? [] : [String(value)]),
    label: (question, value) => check(question, value == null ? [] : [value]),
    multi_label: (question, value) => check(question, value ?? []),
    ranking: (question, value) => {
      const ranks = new Map((value ?? []).map((row) => [row.value, row.rank]));
      rows(question).forEach((row) => {
        const rank = ranks.get(row.dataset.ranked);
        const typed = row.querySelector('input[type=number]');
        if (typed) { typed.value = rank ?? ''; return; }
        row.querySelectorAll('input').forEach((box) => { box.checked = Number(box.value) === rank; });
      });
    },
  };
  const put = (question, value) => { PUT[question.dataset.kind](question, value); refresh(question); };

  const isAnswered = (question) => {
    const value = valueOf(question);
    if (question.dataset.kind === 'text') return value.trim() !== '';
    if (question.dataset.kind === 'ranking') return value.length === rows(question).length;
    return Array.isArray(value) ? value.length > 0 : value !== null;
  };
  const same = (left, right) => JSON.stringify(left ?? null) === JSON.stringify(right ?? null);
  const isSuggested = (question) => {
    const proposal = suggested(question);
    return proposal !== undefined && same(valueOf(question), proposal);
  };

  const refresh = (question) => {
    const clear = question.querySelector('[data-clear]');
    const value = valueOf(question);
    if (clear) clear.hidden = Array.isArray(value) ? value.length === 0 : value === null;
    const use = question.querySelector('[data-use]');
    if (use) use.hidden = isSuggested(question);
    if (isAnswered(question)) wrong(question, '');
    fold(question);
  };
  const wrong = (question, message) => {
    const line = question.querySelector('[data-wrong]');
    line.textContent = message;
    line.hidden = !message;
  };

  // A text grows with what is written; it shrinks only when something was taken away, so that nothing jumps while one types.
  const lengths = new WeakMap();
  const grow = (field) => {
    const shorter = field.value.length < (lengths.get(field) ?? Infinity);
    lengths.set(field, field.value.length);
    const column = field.closest('.pl-record-form');
    const places = [column && column.scrollTop, window.scrollY];
    if (shorter) field.style.height = 'auto';
    if (field.scrollHeight > field.clientHeight || shorter) field.style.height = `${field.scrollHeight + 2}px`;
    if (column && shorter) column.scrollTop = places[0];
    if (shorter && window.scrollY !== places[1]) window.scrollTo(0, places[1]);
  };

  // Many options: the first ones, those that are chosen, and those with the words that are looked for.
  const fold = (question) => {
    const search = question.querySelector('[data-option-search]');
    if (!search) return;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = 'all' in question.dataset;
    let found = 0;
    question.querySelectorAll('.pl-choice').forEach((option) => {
      const text = option.textContent.toLowerCase();
      const fits = words.length ? words.every((word) => text.includes(word)) : all || !('folded' in option.dataset);
      option.hidden = !fits && !(option.querySelector('input').checked && !words.length);
      found += fits ? 1 : 0;
    });
    question.querySelector('[data-no-option]').hidden = found > 0;
    question.querySelector('[data-show-all]').hidden = all || words.length > 0;
  };

  // Marks: {chunks: {"0": true}, spans: [{start, end, text}]}. Places are counted in characters, as the server counts them, and not
  // in the halves of characters that a script counts.
  const marks = new WeakMap();
  const texts = new WeakMap();
  const characters = (text, end) => [...text.slice(0, end)].length;
  const halves = (text, end) => [...text].slice(0, end).join('').length;

  const drawSpans = (card) => {
    const box = card.querySelector('[data-marked]');
    if (!box) return;
    const {spans = []} = marks.get(card);
    const text = texts.get(box);
    const ends = [...new Set([0, text.length, ...spans.flatMap((span) => [halves(text, span.start), halves(text, span.end)])])];
    ends.sort((left, right) => left - right);
    box.replaceChildren(...ends.slice(1).map((end, place) => {
      const start = ends[place];
      const inside = spans.some((span) => halves(text, span.start) <= start && halves(text, span.end) >= end);
      const part = inside ? document.createElement('mark') : document.createTextNode('');
      part.textContent = text.slice(start, end);
      return part;
    }));
    card.querySelector('[data-spans]').replaceChildren(...spans.map((span, place) => {
      const line = document.createElement('li');
      const words = document.createElement('span');
      words.textContent = span.text;
      const remove = document.createElement('button');
      remove.type = 'button';
      remove.className = 'pl-link-button';
      remove.dataset.unmark = place;
      remove.textContent = 'Remove';
      remove.setAttribute('aria-label', `Remove the mark on: ${span.text.slice(0, 80)}`);
      line.append(words, remove);
      return line;
    }));
  };

  const selected = (card) => {
    const box = card.querySelector('[data-marked]');
    const selection = document.getSelection();
    if (!box || !selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    if (!box.contains(range.startContainer) || !box.contains(range.endContainer)) return null;
    const before = document.createRange();
    before.selectNodeContents(box);
    before.setEnd(range.startContainer, range.startOffset);
    const text = texts.get(box);
    let start = before.toString().length;
    let end = start + range.toString().length;
    while (start < end && /\s/.test(text[start])) start += 1;
    while (end > start && /\s/.test(text[end - 1])) end -= 1;
    return start < end ? {start: characters(text, start), end: characters(text, end), text: text.slice(start, end)} : null;
  };
  const mark = (card) => {
    const span = selected(card);
    if (!span) return false;
    const now = marks.get(card);
    const others = (now.spans || []).filter((other) => other.start !== span.start || other.end !== span.end);
    now.spans = [...others, span].sort((left, right) => left.start - right.start || left.end - right.end);
    document.getSelection().removeAllRanges();
    drawSpans(card);
    changed(card);
    return true;
  };
  const unmark = (card, place) => {
    const now = marks.get(card);
    now.spans = now.spans.filter((span, number) => number !== place);
    if (!now.spans.length) delete now.spans;
    drawSpans(card);
    changed(card);
  };
  const drawChunks = (card) => {
    const {chunks = {}} = marks.get(card);
    card.querySelectorAll('[data-chunk-mark]').forEach((button) => {
      const value = chunks[button.dataset.chunkMark];
      button.setAttribute('aria-pressed', String(value !== undefined && String(value) === button.dataset.relevant));
    });
  };
  const markChunk = (card, button) => {
    const now = marks.get(card);
    const chunks = {...now.chunks};
    if (button.getAttribute('aria-pressed') === 'true') delete chunks[button.dataset.chunkMark];
    else chunks[button.dataset.chunkMark] = button.dataset.relevant === 'true';
    if (Object.keys(chunks).length) now.chunks = chunks; else delete now.chunks;
    drawChunks(card);
    changed(card);
  };

  // The passage whose buttons have the focus, else the first without a mark; it is brought into view.
  const relevance = (card, value) => {
    const groups = [...card.querySelectorAll('.pl-relevance')];
    const group = groups.find((candidate) => candidate.contains(document.activeElement))
      || groups.find((candidate) => !candidate.querySelector('[aria-pressed=true]'));
    if (!group) return false;
    const source = group.closest('details');
    if (source) source.open = true;
    const button = group.querySelector(`[data-relevant="${value}"]`);
    if (button.getAttribute('aria-pressed') !== 'true') markChunk(card, button);
    group.scrollIntoView({block: 'nearest'});
    return true;
  };

  const read = (card) => {
    const values = {};
    questions(card).forEach((question) => {
      const value = valueOf(question);
      if (value !== null && !(Array.isArray(value) && !value.length)) values[question.dataset.question] = value;
    });
    return {values, marks: structuredClone(marks.get(card))};
  };
  const write = (card, typed) => {
    questions(card).forEach((question) => put(question, typed.values[question.dataset.question]));
    marks.set(card, structuredClone(typed.marks || {}));
    drawChunks(card);
    drawSpans(card);
  };

  // Once a card is in the page: texts have their height, and a phone shows the query first.
  const prepare = (card) => {
    marks.set(card, JSON.parse(card.dataset.marks || '{}'));
    const box = card.querySelector('[data-marked]');
    if (box) texts.set(box, box.textContent);
    if (matchMedia('(max-width: 700px)').matches) card.querySelectorAll('.pl-source[open]').forEach((source) => { source.open = false; });
    drawSpans(card);
    questions(card).forEach((question) => {
      if (area(question)) grow(area(question));
      refresh(question);
    });
  };

  const missing = (card) => {
    const found = questions(card).filter((question) => {
      const begun = question.dataset.kind === 'ranking' && valueOf(question).length > 0;
      return ('required' in question.dataset || begun) && !isAnswered(question);
    });
    questions(card).forEach((question) => wrong(question, ''));
    found.forEach((question) => {
      const ranked = question.dataset.kind === 'ranking' ? 'Rank every option' : 'Answer this';
      wrong(question, `${ranked} before you submit, or discard the record.`);
    });
    return found;
  };
  const focusOn = (question) => question.querySelector('textarea, input:checked, .pl-choice:not([hidden]) input, input')?.focus();

  // All that are unanswered take their suggestion; where there are none, those that were changed go back to it.
  const accept = (card) => {
    const open = questions(card).filter((question) => suggested(question) !== undefined && !isSuggested(question));
    const unanswered = open.filter((question) => !isAnswered(question));
    const those = unanswered.length ? unanswered : open;
    those.forEach((question) => put(question, suggested(question)));
    if (those.length) changed(card);
    return those.length;
  };

  // The question that was worked on last; the key for the next one goes on from there, round and round.
  const last = new WeakMap();
  const goOn = (card) => {
    const all = questions(card);
    if (!all.length) return false;
    focusOn(all[(all.indexOf(last.get(card)) + 1) % all.length]);
    return true;
  };

  const press = (box) => { box.checked = box.type === 'checkbox' ? !box.checked : true; };
  const CHOOSE = {
    rating: (question, key) => {
      const boxes = inputs(question);
      const box = boxes.find((candidate) => candidate.value === key) || (key === '0' && boxes.find(({value}) => value === '10'));
      if (box) press(box);
      return box;
    },
    label: (question, key) => { const box = inputs(question)[Number(key) - 1]; if (box) press(box); return box; },
    multi_label: (question, key) => {
      const box = inputs(question)[Number(key) - 1];
      if (box) { press(box); box.focus(); }
      return box;
    },
    ranking: (question, key) => {
      const row = rows(question).find((candidate) => candidate.contains(document.activeElement))
        || rows(question).find((candidate) => rankOf(candidate) === null);
      const box = row && [...row.querySelectorAll('input[type=radio]')].find(({value}) => value === key);
      if (!box) return null;
      press(box);
      if (row.contains(document.activeElement)) {
        const next = rows(question).find((candidate) => rankOf(candidate) === null) || row;
        (next.querySelector('input:checked') || next.querySelector('input')).focus();
      }
      return box;
    },
  };
  // A digit goes to the question with the focus, else to the first one without an answer.
  const digit = (card, key) => {
    const choices = questions(card).filter((question) => question.dataset.kind !== 'text');
    const question = choices.find((candidate) => candidate.contains(document.activeElement))
      || choices.find((candidate) => !isAnswered(candidate));
    if (!question || !CHOOSE[question.dataset.kind](question, key)) return false;
    last.set(card, question);
    refresh(question);
    changed(card);
    return true;
  };

  const cardOf = (element) => element.closest && element.closest('.pl-record');
  document.addEventListener('input', (event) => {
    const card = cardOf(event.target);
    if (!card) return;
    const question = event.target.closest('[data-question]');
    if (event.target.matches('[data-option-search]')) { fold(question); return; }
    if (event.target.matches('[data-marked]')) { drawSpans(card); return; }
    if (!question) return;
    if (event.target.matches('textarea')) grow(event.target);
    refresh(question);
    changed(card);
  });
  document.addEventListener('focusin', (event) => {
    const question = event.target.closest('.pl-record [data-question]');
    if (question) last.set(cardOf(question), question);
  });
  // The text to mark is a text box for the keyboard's cursor only.
  document.addEventListener('beforeinput', (event) => { if (event.target.matches('[data-marked]')) event.preventDefault(); });
  document.addEventListener('submit', (event) => { if (cardOf(event.target)) event.preventDefault(); });
  document.addEventListener('selectionchange', () => document.querySelectorAll('.pl-record [data-mark]').forEach((button) => {
    button.disabled = !selected(cardOf(button));
  }));
  // A press on the button must not take the selection away before it is read.
  document.addEventListener('mousedown', (event) => { if (event.target.closest('[data-mark]')) event.preventDefault(); });
  document.addEventListener('click', (event) => {
    const card = cardOf(event.target);
    if (!card) return;
    const question = event.target.closest('[data-question]');
    const button = event.target.closest('button');
    if (!button) return;
    if ('mark' in button.dataset) mark(card);
    if ('unmark' in button.dataset) unmark(card, Number(button.dataset.unmark));
    if ('chunkMark' in button.dataset) markChunk(card, button);
    if ('showAll' in button.dataset) { question.dataset.all = ''; fold(question); }
    if ('clear' in button.dataset) { put(question, null); changed(card); focusOn(question); }
    if ('use' in button.dataset) { put(question, suggested(question)); changed(card); focusOn(question); }
    if ('put' in button.dataset) { write(card, JSON.parse(button.dataset.put)); changed(card); }
  });

  window.pairloopForm = {read, write, prepare, missing, focusOn, accept, digit, goOn, mark, relevance};
})();
