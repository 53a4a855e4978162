"use strict";
(() => {
  const EVERY = 5000;
  const stale = document.getElementById("stale");
  let busy = false;

  // Whoever fills in the form, or marks a text to copy it, is not disturbed.
  const disturbs = (main) => {
    const marked = getSelection();
    return main.querySelector("form :is(input, button):focus") || (marked && !marked.isCollapsed);
  };

  const focused = (main) => {
    const link = document.activeElement;
    return link && main.contains(link) ? link.getAttribute("href") : null;
  };

  async function look() {
    const main = document.querySelector("main");
    if (busy || document.hidden || disturbs(main)) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(15000) });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = next.querySelector("main");
      if (!fresh) throw new Error("no page");
      if (!disturbs(main)) {
        const link = focused(main);
        main.replaceWith(document.adoptNode(fresh));
        if (link) document.querySelector(`main a[href="${CSS.escape(link)}"]`)?.focus({ preventScroll: true });
        document.title = next.title;
        document.querySelector("link[rel=icon]").href = next.querySelector("link[rel=icon]").href;
      }
      stale.hidden = true;
      document.documentElement.classList.add("live");
    } catch {
      stale.hidden = false;
    } finally {
      busy = false;
    }
  }

  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
})();
