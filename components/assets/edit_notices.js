// What the Annotate panel tells: lines above the record, the line beside the buttons, and what a screen reader hears.
(() => {
  const tell = (text) => { const line = document.querySelector('#edit-host [data-told]'); if (line) line.textContent = text; };
  const button = (words, act, id) => {
    const made = document.createElement('button');
    Object.assign(made, {type: 'button', className: 'pl-plain-button', textContent: words, onclick: act});
    if (id) made.id = id;
    return made;
  };

  // One line above the record for each thing that somebody must know; a new one of a kind takes the place of the old.
  const notice = (kind, text, ...buttons) => {
    dismiss(kind);
    const line = document.createElement('div');
    line.className = `pl-notice pl-notice-${kind.split(':')[0]}`;
    line.dataset.notice = kind;
    line.setAttribute('role', ['undo', 'accepted', 'guidelines'].includes(kind) ? 'status' : 'alert');
    const words = document.createElement('span');
    words.textContent = text;
    line.append(words, ...buttons);
    document.getElementById('edit-alerts')?.append(line);
  };
  const dismiss = (kind) => document.querySelectorAll('#edit-alerts [data-notice]').forEach((line) => {
    if (line.dataset.notice === kind || (kind.endsWith('*') && line.dataset.notice.startsWith(kind.slice(0, -1)))) line.remove();
  });

  // The line beside the buttons: what is saved, of the record on the screen.
  let line = {text: '', saved: 0, kind: ''};
  const say = (text, kind = '', saved = 0) => { line = {text, kind, saved}; drawLine(); };
  const ago = (moment) => {
    const seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
    return seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
  };
  const drawLine = () => {
    const place = document.getElementById('edit-status');
    if (!place) return;
    const text = line.saved ? `${line.text} ${ago(line.saved)} ago` : line.text;
    if (place.textContent !== text) place.textContent = text;
    place.dataset.kind = line.kind;
  };
  setInterval(drawLine, 1000);

  window.pairloopNotices = {notice, dismiss, say, tell, button};
})();
