// What ends a record on the Annotate panel: submit and discard, and taking them back. The record after it is shown at once, and the
// server is told meanwhile, one after the other; what it says is told when it comes.
(() => {
  const form = window.pairloopForm;
  const drafts = window.pairloopDrafts;
  const {notice, dismiss, say, tell, button} = window.pairloopNotices;
  const {
    state, number, idOf, part, view, leaving, rest, tooEarly, seconds, closeDiscard, show, showNew, drawCounts, drawList, apply, failed,
    noPlace, askConflict, REST_MS,
  } = window.pairloopScreen;
  const GIVE_UP_MS = 20000;

  let chain = Promise.resolve();
  // One that goes wrong in an unforeseen way must not keep those after it from the server.
  const queue = (job) => { chain = chain.then(() => tellEnd(job)).catch(reportError); };
  const end = (action, reason = '') => {
    const {card} = state;
    if (!card || card.inert || tooEarly()) return;
    const record = idOf(card);
    if (action === 'submit' && !isReady(card, record)) return;
    const given = {...form.read(card), entry: drafts.entry(record), seconds: seconds()};
    const job = {action, reason, record, card, number: number(card), dataset: state.dataset, ...given};
    state.undo = '';
    ['failed', `unsent:${record}`, 'undo', 'accepted'].forEach(dismiss);
    closeDiscard();
    if (state.next) {
      const {next} = state;
      state.next = null;
      showNew(next, true);
    } else {
      card.inert = true;
      rest(GIVE_UP_MS);
    }
    queue(job);
  };
  const isReady = (card, record) => {
    const missing = form.missing(card);
    if (missing.length) {
      const names = missing.map((question) => `“${question.dataset.title}”`).join(', ');
      say(`× Answer ${names} before you submit, or discard the record.`, 'refused');
      tell(part('edit-status').textContent);
      form.focusOn(missing[0]);
      return false;
    }
    if (!drafts.refusal(record)) return true;
    say(`× ${drafts.refusal(record)}`, 'refused');
    tell(part('edit-status').textContent);
    return false;
  };

  const tellEnd = async (job) => {
    const {record, card, action, reason, values, marks} = job;
    await drafts.settle(record);
    const showing = state.card === card ? '' : idOf(state.card);
    const body = {action, reason, record, values, marks, seconds: job.seconds, showing, ...drafts.over(record), ...view()};
    let answer;
    try {
      answer = await drafts.post('end', body);
    } catch (error) {
      card.inert = false;
      notEnded(job, error);
      return;
    }
    drafts.ended(record, job.entry, answer.version);
    await drafts.answered();
    card.inert = false;
    ended(job, answer, showing);
  };
  const ended = (job, answer, showing) => {
    // Somebody who has gone to another dataset in the meantime stays there.
    if (job.dataset !== state.dataset) return;
    drawCounts(answer);
    if (state.listed) drawList();
    const word = job.action === 'submit' ? 'submitted' : 'discarded';
    state.undo = job.record;
    notice('undo', `Record ${job.number} ${word}.`, undoButton());
    if (state.card === job.card) { apply(answer, true); return; }
    if (idOf(state.card) !== showing) return;
    if (answer.place) { state.next = answer.next; return; }
    if (showing && (drafts.waiting(showing) || drafts.version(showing))) { noPlace(); return; }
    apply(answer, true);
  };
  const undoButton = () => {
    const made = button('Undo ', undo, 'edit-undo');
    const key = document.createElement('kbd');
    key.dataset.keyOf = 'edit.undo';
    key.textContent = 'Z';
    made.append(key);
    setTimeout(window.pairloopKeys.show);
    return made;
  };
  const notEnded = (job, error) => {
    const {record, card} = job;
    const onScreen = state.card === card;
    // What was given stays here until the server has it, as a draft at least.
    if (error.status === 409) drafts.clash(record, error.version);
    job.entry = drafts.giveBack(record, job.entry, job, !error.status);
    const verb = job.action === 'submit' ? 'submitted' : 'discarded';
    const again = button('Try again', () => {
      dismiss(`unsent:${record}`);
      if (state.card === card) end(job.action, job.reason); else queue(job);
    });
    const back = button('Go back to it', () => { dismiss(`unsent:${record}`); goBackTo(card); });
    // Where it is on the screen in another form, there is nothing to go back to.
    const elsewhere = idOf(state.card) !== record;
    const ways = [...(elsewhere ? [back] : []), ...(error.status || !(onScreen || elsewhere) ? [] : [again])];
    const reason = error.status ? error.message : 'no connection to Pairloop.';
    notice(`unsent:${record}`, `Your answer to record ${job.number} was not ${verb}: ${reason}`, ...ways);
    if (!onScreen) return;
    rest(0);
    if (error.status === 409) askConflict(record);
    if (document.activeElement === document.body) card.focus({preventScroll: true});
  };
  const goBackTo = (card) => {
    const was = state.card;
    if (was) drafts.send(idOf(was));
    show(card, {known: true, focus: true});
    // What was on the screen comes again after it, with what is typed there.
    state.next = was ? {id: idOf(was), card: was} : null;
  };

  const undo = async () => {
    await chain;
    const record = state.undo;
    if (!record) return;
    state.undo = '';
    dismiss('undo');
    if (state.card) await drafts.send(idOf(state.card));
    let answer;
    try {
      answer = await drafts.post('undo', {record, leaving: leaving(), ...view()});
    } catch (error) { state.undo = record; failed(error); return; }
    drafts.rebase(record, answer.card.version);
    await drafts.answered();
    if (answer.dataset !== state.dataset) return;
    state.turn += 1;
    apply(answer, true);
    notice('undo', `Taken back: record ${number(state.card)} is a draft again.`);
  };

  const discard = () => {
    const panel = part('edit-discarding');
    if (!state.card || state.card.inert || !panel || tooEarly()) return;
    if (!panel.hidden) { end('discard', part('edit-reason').value); return; }
    panel.hidden = false;
    part('edit-reason').value = '';
    part('edit-reason').focus();
    rest(REST_MS);
  };

  window.pairloopEnding = {end, undo, discard};
})();
