// Somebody whose sign-in has ended keeps what is typed: they sign in again in a tab of its own, and go on here.
(() => {
  const told = () => {
    let note = document.getElementById('pl-signed-out');
    if (!note) {
      note = document.createElement('div');
      note.id = 'pl-signed-out';
      note.className = 'pl-signed-out';
      note.setAttribute('role', 'alert');
      const link = document.createElement('a');
      link.href = new URL('sign-in', document.baseURI);
      link.target = '_blank';
      link.rel = 'noopener';
      link.textContent = 'Sign in again';
      note.append('You are signed out. What you typed is still here. ', link);
      document.body.append(note);
    }
    note.hidden = false;
  };
  const over = () => { const note = document.getElementById('pl-signed-out'); if (note) note.hidden = true; };
  window.pairloopSignedOut = (out) => { if (out) told(); else over(); };
  const ask = window.fetch;
  window.fetch = async (...given) => {
    const answer = await ask(...given);
    const address = new URL(given[0]?.url ?? given[0], location.href);
    if (address.origin === location.origin) {
      if (answer.status === 401) told(); else if (answer.ok && address.pathname.includes('/gradio_api/')) over();
    }
    return answer;
  };
})();
