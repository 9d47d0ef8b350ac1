// Gives the boxes that select2 draws the name of the field they stand for; it names them after nothing.
"use strict";
window.addEventListener("load", () => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const label = document.querySelector(`label[for="${select.id}"]`);
    const box = select.parentElement.querySelector(`.select2-container`);
    const name = label ? label.textContent.replace(/[*:\s]+$/, "").trim() : select.getAttribute("aria-label") || "Filter";
    if (!box) continue;
    for (const part of box.querySelectorAll("[role=combobox], [role=textbox], [role=searchbox], input")) {
      part.removeAttribute("aria-labelledby");
      part.setAttribute("aria-label", name);
    }
  }
});
