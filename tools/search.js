// Looks through the sections of the book. Works from a file, without a network.
// The text is in search_data.js, loaded when the reader first goes to the field.
"use strict";

(() => {
  const MOST = 20;
  const form = document.querySelector(".search");
  const field = form.querySelector("input");
  const status = form.querySelector("[role=status]");
  const list = form.querySelector("ol");
  let sections = null;
  let loading = false;

  // Lower case without accents. One character stays one, so that positions agree with the text.
  const fold = (text) =>
    text.replace(/[^\x00-\x7f]/g, (letter) => letter.normalize("NFD")[0]).toLowerCase();

  const load = () => {
    if (sections || loading) return;
    loading = true;
    const script = document.createElement("script");
    script.src = "search_data.js";
    script.onload = () => {
      sections = window.bookSections.map(([page, anchor, chapter, title, text]) => ({
        page, anchor, chapter, title, text,
        head: fold(`${title} ${chapter}`), name: fold(title), body: fold(text),
      }));
      search();
    };
    script.onerror = () => {
      loading = false;
      status.textContent = "search_data.js is missing beside this page. Build the book again.";
    };
    document.head.append(script);
  };

  const count = (text, word) => text.split(word).length - 1;
  // The cheat sheet repeats the titles of the chapters, which are what a reader looks for.
  const original = (section) => section.page !== "cheat_sheet";
  const starts = (text, word) => ` ${text}`.includes(` ${word}`);

  // A word in the title counts most; a section in which some word is missing does not count at all.
  const score = (section, words) => {
    let sum = section.name === words.join(" ") && original(section) ? 20 : 0;
    for (const word of words) {
      const found = section.name.includes(word) && original(section);
      const inTitle = found ? (starts(section.name, word) ? 20 : 5) : 0;
      const hits = Math.min(count(section.body, word), 8);
      if (!inTitle && !hits && !section.head.includes(word)) return 0;
      sum += inTitle + hits + 1;
    }
    return sum;
  };

  // Appends text to an element, with the words that were looked for marked.
  const mark = (element, text, words) => {
    const folded = fold(text);
    let at = 0;
    while (at < text.length) {
      let next = null;
      for (const word of words) {
        const place = folded.indexOf(word, at);
        if (place >= 0 && (!next || place < next.place)) next = { place, end: place + word.length };
      }
      element.append(text.slice(at, next ? next.place : text.length));
      if (!next) return;
      const hit = document.createElement("mark");
      hit.textContent = text.slice(next.place, next.end);
      element.append(hit);
      at = next.end;
    }
  };

  // The stretch of text that holds most of the words.
  const snippet = (section, words) => {
    const after = (place) => section.body.slice(place, place + 110);
    let best = { place: 0, held: -1 };
    for (const word of words) {
      for (let at = section.body.indexOf(word); at >= 0; at = section.body.indexOf(word, at + 1)) {
        const held = words.filter((other) => after(at).includes(other)).length;
        if (held > best.held) best = { place: at, held };
      }
    }
    const start = best.place < 70 ? 0 : section.text.indexOf(" ", best.place - 70) + 1;
    let end = section.text.indexOf(" ", best.place + 110);
    if (end < 0) end = section.text.length;
    return (start ? "… " : "") + section.text.slice(start, end) + (end < section.text.length ? " …" : "");
  };

  const show = (section, words) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `${section.page}.html#${section.anchor}`;
    const title = document.createElement("strong");
    mark(title, section.title, words);
    const place = document.createElement("small");
    place.textContent = section.chapter;
    const text = document.createElement("span");
    mark(text, snippet(section, words), words);
    link.append(title, " ", place, text);
    item.append(link);
    list.append(item);
  };

  const search = () => {
    list.replaceChildren();
    const words = fold(field.value).split(/\s+/).filter(Boolean);
    form.classList.toggle("open", words.length > 0);
    status.textContent = "";
    if (!words.length || !sections) return;
    const found = sections
      .map((section) => ({ section, worth: score(section, words) }))
      .filter((result) => result.worth)
      .sort((a, b) => b.worth - a.worth); // a stable sort: equals stay in the order of the book
    for (const { section } of found.slice(0, MOST)) show(section, words);
    const number = found.length === 1 ? "1 section" : `${found.length} sections`;
    status.textContent = found.length > MOST ? `${number}, the best ${MOST} are shown` : number;
  };

  const close = () => {
    field.value = "";
    search();
  };

  form.hidden = false;
  field.addEventListener("focus", load);
  field.addEventListener("input", () => { load(); search(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  list.addEventListener("click", (event) => {
    if (event.target.closest("a") && !event.ctrlKey && !event.metaKey) setTimeout(close);
  });
  form.addEventListener("keydown", (event) => {
    const stops = [field, ...list.querySelectorAll("a")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      stops[stops.indexOf(document.activeElement) + step]?.focus();
    } else if (event.key === "Escape") {
      close();
      field.focus();
    } else {
      return;
    }
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    field.focus();
  });
})();
