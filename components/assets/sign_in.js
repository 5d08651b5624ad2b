// Within the frame of a Space people sign in in a tab of their own. Whoever comes back from there is taken on; where the browser
// keeps a frame of another site from its cookies, a button asks it for them, as browsers want it: by somebody's own press.
const MARK = 'pairloop-left';
const remember = () => { try { sessionStorage.setItem(MARK, '1'); } catch { /* no storage, no button */ } };
const remembered = () => { try { return sessionStorage.getItem(MARK) === '1'; } catch { return false; } };
const button = document.getElementById('go-on');
let left = false;
const offer = () => { button.hidden = !document.requestStorageAccess; };
if (remembered()) offer();
document.addEventListener('click', (event) => {
  if (event.target.closest('a[target=_blank]')) { left = true; remember(); offer(); }
});
button.addEventListener('click', async () => {
  try { await document.requestStorageAccess(); } catch { /* refused: the page says what else there is */ }
  location.reload();
});
const back = () => { if (left && document.visibilityState === 'visible') location.reload(); };
document.addEventListener('visibilitychange', back);
