// What Gradio has no option for: keys, citations that light their source, the document drawer. Reads nothing, stores nothing.
(() => {
  const KEYS = {
    edit: {'Ctrl+Enter': 'edit-submit', '[': 'edit-back', ']': 'edit-next'},
    compare: {'1': 'vote-a', '2': 'vote-b', '3': 'vote-tie', '4': 'vote-bad', 'z': 'vote-undo'},
  };
  const visible = (element) => element && element.offsetParent !== null && !element.disabled;
  const button = (id) => {
    const element = document.getElementById(id);
    return element && (element.matches('button') ? element : element.querySelector('button'));
  };
  const typing = (target) => {
    if (target.isContentEditable || target.matches('textarea, select')) return true;
    return target.matches('input') && !['radio', 'checkbox', 'button', 'submit'].includes(target.type);
  };
  const currentTab = () => ['edit', 'compare'].find((name) => visible(document.getElementById(`${name}-screen`)));

  const press = (id, event) => {
    const target = button(id);
    if (!visible(target)) return;
    event.preventDefault();
    target.click();
  };

  // 1 to 5 rate: the first rating without a value, or the one that has the focus.
  const rate = (key, event) => {
    const groups = [...document.querySelectorAll('#edit-screen .pl-rating')].filter(visible);
    const focused = groups.find((group) => group.contains(document.activeElement));
    const group = focused || groups.find((candidate) => !candidate.querySelector('input:checked'));
    const input = group && [...group.querySelectorAll('input')][Number(key) - 1];
    if (!input) return;
    event.preventDefault();
    input.click();
  };

  const help = (open) => {
    const dialog = document.getElementById('pl-keys');
    if (!dialog) return;
    if (open) dialog.showModal(); else dialog.close();
  };

  document.addEventListener('keydown', (event) => {
    const combined = (event.ctrlKey || event.metaKey) && event.key === 'Enter';
    if (event.key === 'Escape') closeDrawer();
    if (event.repeat || (typing(event.target) && !combined)) return;
    if (!combined && (event.ctrlKey || event.metaKey || event.altKey)) return;
    if (document.querySelector('dialog[open]')) return;
    if (event.key === '?') { event.preventDefault(); help(true); return; }
    const tab = currentTab();
    if (!tab) return;
    if (tab === 'edit' && /^[1-5]$/.test(event.key)) { rate(event.key, event); return; }
    if (tab === 'compare' && event.key.toLowerCase() === 's') { event.preventDefault(); toggleSources(); return; }
    const id = KEYS[tab][combined ? 'Ctrl+Enter' : event.key.toLowerCase()];
    if (id) press(id, event);
  });

  const toggleSources = () => {
    const all = [...document.querySelectorAll('#compare-screen .pl-source')];
    const open = all.some((source) => !source.open);
    all.forEach((source) => { source.open = open; });
    const folded = document.querySelector('#compare-sources > button');
    if (folded && !all.length) folded.click();
  };

  const screenOf = (element) => element.closest('.pl-screen') || document;
  const light = (cite, on) => {
    const source = screenOf(cite).querySelector(`.pl-source[data-source="${cite.dataset.cite}"]`);
    if (source) source.classList.toggle('pl-lit', on);
    return source;
  };
  document.addEventListener('mouseover', (event) => {
    const cite = event.target.closest && event.target.closest('[data-cite]');
    if (cite) light(cite, true);
  });
  document.addEventListener('mouseout', (event) => {
    const cite = event.target.closest && event.target.closest('[data-cite]');
    if (cite) light(cite, false);
  });

  const closeDrawer = () => {
    const drawer = document.querySelector('.pl-drawer');
    if (drawer) drawer.remove();
  };
  document.addEventListener('click', (event) => {
    const cite = event.target.closest('[data-cite]');
    if (cite) {
      const source = light(cite, true);
      if (source) {
        source.open = true;
        source.querySelector('[data-chunk]').click();
      }
    }
    if (event.target.closest('[data-close-drawer]')) closeDrawer();
    // The address follows the tab that was clicked, so that a reload, also Gradio's own after a restart, comes back to it.
    const tab = event.isTrusted && event.target.closest('#tabs button[role=tab]');
    if (tab) history.replaceState(history.state, '', `?tab=${tab.textContent.trim().toLowerCase()}`);
    if (event.target.closest('[data-open-keys]')) help(true);
    if (event.target.closest('[data-close-keys]')) help(false);
  });

  // The drawer arrives with a server answer: bring the cited passage into view and give the drawer the focus.
  new MutationObserver(() => {
    const drawer = document.querySelector('.pl-drawer:not([data-shown])');
    if (!drawer) return;
    drawer.dataset.shown = 'yes';
    const mark = drawer.querySelector('mark');
    if (mark) mark.scrollIntoView({block: 'center'});
    drawer.focus();
  }).observe(document.documentElement, {childList: true, subtree: true});

  // Long answers of a pair scroll together, by share of their length.
  let leader = null;
  document.addEventListener('scroll', (event) => {
    const card = event.target;
    if (!card.classList || !card.classList.contains('pl-side-text') || (leader && leader !== card)) return;
    leader = card;
    const share = card.scrollTop / Math.max(1, card.scrollHeight - card.clientHeight);
    document.querySelectorAll('.pl-side-text').forEach((other) => {
      if (other !== card) other.scrollTop = share * (other.scrollHeight - other.clientHeight);
    });
    clearTimeout(window.pairloopScroll);
    window.pairloopScroll = setTimeout(() => { leader = null; }, 120);
  }, true);
})();
