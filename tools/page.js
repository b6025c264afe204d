// Small helps for the reader of a page; the page is complete without them.
"use strict";

// The list of chapters would fill a phone's first screen.
const phone = window.matchMedia("(max-width: 56rem)");
const chapters = document.querySelector(".chapters details");
const fold = () => { chapters.open = !phone.matches; };
phone.addEventListener("change", fold);
fold();

// What scrolls sideways must be reachable with the keyboard.
const reach = () => {
  for (const box of document.querySelectorAll("main pre, .scroll, math[display=block], .output_area")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
window.addEventListener("resize", reach);
window.addEventListener("load", reach);
