// Refreshes the main part of the page without a reload. The server writes the whole page; this only
// moves what has changed into the page that is shown, so that focus and selection stay.
"use strict";
(() => {
  const live = document.getElementById("live");
  const main = document.getElementById("main");
  if (!live || !main.dataset.refresh) return;
  let timer = 0;
  let isPaused = false;
  let last = new Date();

  const text = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  live.removeAttribute("role");
  live.replaceChildren(text, button);

  const show = (state, message) => {
    live.className = "live " + state;
    // Only a change of the state is announced.
    if (text.dataset.state !== state) text.setAttribute("role", state === "lost" ? "alert" : "none");
    text.dataset.state = state;
    text.textContent = message;
    button.textContent = isPaused ? "Resume" : "Pause";
    button.setAttribute("aria-label", isPaused ? "Resume live updates" : "Pause live updates");
  };

  const isSame = (one, other) =>
    one.nodeType === other.nodeType && one.nodeName === other.nodeName &&
    (one.id || "") === (other.id || "");

  const change = (from, to) => {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      // A person has opened it.
      if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
    }
    let at = from.firstChild;
    for (const next of [...to.childNodes]) {
      // A target keeps its element wherever it is in the list.
      const known = next.id ? [...from.children].find((child) => child.id === next.id) : at;
      if (known && isSame(known, next)) {
        if (known === at) at = at.nextSibling;
        else from.insertBefore(known, at);
        change(known, next);
      } else {
        from.insertBefore(document.importNode(next, true), at);
      }
    }
    while (at) {
      const after = at.nextSibling;
      at.remove();
      at = after;
    }
  };

  const refresh = async () => {
    const response = await fetch(location.origin + location.pathname + location.search, {
      cache: "no-store",
      signal: AbortSignal.timeout(8000),
    });
    if (response.status === 404) throw new Error("gone");
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("main");
    if (!fresh) throw new Error("no page");
    document.title = page.title;
    const focused = document.activeElement;
    change(main, fresh);
    // An element that moves loses the focus.
    if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  };

  const next = () => {
    clearTimeout(timer);
    if (!isPaused && !document.hidden) timer = setTimeout(tick, 1000 * main.dataset.refresh);
  };

  const tick = async () => {
    clearTimeout(timer);
    try {
      await refresh();
      last = new Date();
      main.classList.remove("old");
      if (!isPaused) show("on", "Live");
    } catch (error) {
      main.classList.add("old");
      const what = error.message === "gone" ? "No longer a target since " : "No response since ";
      show("lost", what + last.toLocaleTimeString());
    }
    next();
  };

  button.addEventListener("click", () => {
    isPaused = !isPaused;
    show(isPaused ? "off" : "on", isPaused ? "Paused at " + last.toLocaleTimeString() : "Live");
    if (isPaused) clearTimeout(timer);
    else tick();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !isPaused) tick();
  });
  show("on", "Live");
  next();
})();
