// All workspaces of a server have one origin, and with it one storage in the browser: what is kept for one below a path is kept under
// names that begin with that path. Nothing that was typed in one shows up in another, or is sent there.
(() => {
  const mark = `${new URL('.', document.baseURI).pathname}:`;
  if (mark === '/:') return;
  const apart = (store) => {
    const names = () => Object.keys(store).filter((name) => name.startsWith(mark)).map((name) => name.slice(mark.length));
    const own = {
      getItem: (name) => store.getItem(mark + name),
      setItem: (name, value) => store.setItem(mark + name, value),
      removeItem: (name) => store.removeItem(mark + name),
      clear: () => names().forEach((name) => store.removeItem(mark + name)),
      key: (number) => names()[number] ?? null,
    };
    return new Proxy({}, {
      get: (_, name) => (name === 'length' ? names().length : own[name] ?? (typeof name === 'string' ? store.getItem(mark + name) ?? undefined : undefined)),
      set: (_, name, value) => { store.setItem(mark + name, value); return true; },
      has: (_, name) => name in own || names().includes(name),
      deleteProperty: (_, name) => { store.removeItem(mark + name); return true; },
      ownKeys: names,
      getOwnPropertyDescriptor: (_, name) => {
        const value = store.getItem(mark + String(name));
        return value === null ? undefined : {value, writable: true, enumerable: true, configurable: true};
      },
    });
  };
  ['localStorage', 'sessionStorage'].forEach((name) => {
    try {
      const store = apart(window[name]);
      Object.defineProperty(window, name, {configurable: true, get: () => store});
    } catch { /* The browser keeps nothing: then there is nothing to keep apart. */ }
  });
})();
