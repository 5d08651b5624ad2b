// Keys: what each does is listed in the dialog of the header, and may be changed there for this browser.
(() => {
  const STORED = 'pairloop-keys';
  const storage = (() => { try { return window.localStorage; } catch { return null; } })();
  const read = () => { try { return JSON.parse((storage && storage.getItem(STORED)) || '{}'); } catch { return {}; } };
  let changed = read();
  // Screen → action → what it does; returns false where it could not.
  const actions = {};
  const dialog = () => document.getElementById('pl-keys');
  // The list in the dialog says which actions there are: "edit.submit" with its key.
  const rows = () => [...document.querySelectorAll('#pl-keys [data-action]')];
  const fixed = (row) => 'fixed' in row.dataset;
  const keyOf = (row) => (fixed(row) ? row.dataset.key : changed[row.dataset.action] || row.dataset.key);

  const visible = (element) => Boolean(element) && element.offsetParent !== null && !element.disabled;
  const typing = (target) => {
    if (!target.matches || target.closest('[data-marked]')) return false;
    if (target.isContentEditable || target.matches('textarea, select')) return true;
    return target.matches('input') && !['radio', 'checkbox', 'button', 'submit'].includes(target.type);
  };
  const screenNow = () => Object.keys(actions).find((name) => visible(document.getElementById(`${name}-screen`)));
  const help = (open) => {
    if (!dialog()) return;
    if (open) dialog().showModal(); else { edit(false); dialog().close(); }
  };

  document.addEventListener('keydown', (event) => {
    if (listening) { take(event); return; }
    const combined = (event.ctrlKey || event.metaKey) && event.key === 'Enter';
    if (event.repeat || event.defaultPrevented || (typing(event.target) && !combined)) return;
    if (!combined && (event.ctrlKey || event.metaKey || event.altKey)) return;
    if (document.querySelector('dialog[open]')) return;
    if (event.key === '?') { event.preventDefault(); help(true); return; }
    const screen = screenNow();
    if (!screen) return;
    const pressed = combined ? 'Ctrl Enter' : event.key.toLowerCase();
    const row = rows().find((candidate) => candidate.dataset.action.startsWith(`${screen}.`) && keyOf(candidate) === pressed);
    const act = row ? actions[screen][row.dataset.action.split('.')[1]] : actions[screen].other;
    if (act && act(event.key, event) !== false) event.preventDefault();
  });

  // Shown on buttons as well: <kbd data-key-of="edit.back">, and the ends of the labels of Gradio's buttons.
  const show = () => {
    rows().forEach((row) => {
      const key = keyOf(row);
      const words = fixed(row) ? null : row.querySelector('kbd');
      if (words && words.textContent !== shown(key)) words.textContent = shown(key);
      document.querySelectorAll(`[data-key-of="${row.dataset.action}"]`).forEach((mark) => {
        if (mark.textContent !== shown(key)) mark.textContent = shown(key);
      });
      const button = row.dataset.button && document.getElementById(row.dataset.button);
      if (!button || !button.textContent.trim()) return;
      const label = button.textContent.trim().replace(/ {2}\S+$/, '');
      const text = `${label}  ${shown(key)}`;
      if (button.textContent.trim() !== text) [...button.childNodes].find((node) => node.nodeType === 3 && node.data.trim()).data = text;
    });
  };
  const shown = (key) => (key === ' ' ? 'Space' : key.length === 1 && key !== key.toUpperCase() && /[a-z]/.test(key) ? key.toUpperCase() : key);

  // Changing: one row waits for a key.
  let listening = null;
  const say = (text) => { const note = document.querySelector('[data-keys-note]'); if (note) note.textContent = text; };
  const edit = (on) => {
    listening = null;
    document.querySelectorAll('[data-change-key], [data-reset-keys]').forEach((button) => { button.hidden = !on; });
    const toggle = document.querySelector('[data-change-keys]');
    if (toggle) toggle.setAttribute('aria-pressed', String(on));
    say(on ? 'Press Change beside an action, then its new key.' : '');
  };
  const keep = () => { if (storage) storage.setItem(STORED, JSON.stringify(changed)); show(); };
  const take = (event) => {
    if (['Shift', 'Control', 'Alt', 'Meta', 'CapsLock'].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const row = listening;
    listening = null;
    if (event.key === 'Escape') { say('Nothing changed.'); return; }
    const key = event.key.toLowerCase();
    if (key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) { say('Take a letter, a digit or a sign.'); return; }
    const screen = row.dataset.action.split('.')[0];
    const other = rows().find((candidate) => candidate !== row && keyOf(candidate) === key
      && ['every', screen].includes(candidate.dataset.action.split('.')[0]));
    if (other) { say(`${shown(key)} is taken: ${other.dataset.what}.`); return; }
    if (screen === 'edit' && /[0-9]/.test(key)) { say('Digits choose answers on Edit.'); return; }
    changed[row.dataset.action] = key;
    if (key === row.dataset.key) delete changed[row.dataset.action];
    keep();
    say(`${shown(key)}: ${row.dataset.what}.`);
  };
  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-open-keys]')) help(true);
    if (event.target.closest('[data-close-keys]')) help(false);
    const toggle = event.target.closest('[data-change-keys]');
    if (toggle) edit(toggle.getAttribute('aria-pressed') !== 'true');
    const change = event.target.closest('[data-change-key]');
    if (change) { listening = change.closest('[data-action]'); say(`Press the new key for: ${listening.dataset.what}. Esc leaves it as it is.`); }
    if (event.target.closest('[data-reset-keys]')) { changed = {}; keep(); say('All keys are as they were at first.'); }
  });
  document.addEventListener('close', (event) => { if (event.target === dialog()) edit(false); }, true);
  window.addEventListener('storage', (event) => { if (event.key?.endsWith(STORED)) { changed = read(); show(); } });
  new MutationObserver(() => { if (Object.keys(changed).length) show(); }).observe(document.documentElement, {childList: true, subtree: true});

  window.pairloopKeys = {
    on: (screen, named) => { actions[screen] = {...actions[screen], ...named}; },
    visible,
    typing,
    show,
  };
})();
