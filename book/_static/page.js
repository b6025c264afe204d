// What scrolls sideways must be reachable with the keyboard.
const reach = () => {
  for (const box of document.querySelectorAll(".equation, .scroll, .pst-scrollable-table-container"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
};
addEventListener("load", reach);
addEventListener("resize", reach);

// docutils calls the citations a list, but not its entries items of one.
addEventListener("DOMContentLoaded", () => document.querySelector(".citation-list")?.removeAttribute("role"));

// Search quotes the pages that it finds: from texts.js, as a page from a file may fetch none.
const quote = (url) => {
  Search.htmlToText = (text) => text;
  return new Response(window.texts[url.replace(/^\.\/|\.html$/g, "")]);
};
if (location.pathname.endsWith("/search.html")) window.fetch = async (url) => quote(url);
