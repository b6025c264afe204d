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
