// Gives the boxes that select2 draws the name of the field they stand for; it names them after nothing.
"use strict";
{
  const PARTS = "[role=combobox], [role=textbox], [role=searchbox], input";

  const nameOf = (select) => {
    const label = select && document.querySelector(`label[for="${select.id}"]`);
    return label ? label.textContent.replace(/[*:\s]+$/, "").trim() : "Search";
  };

  const give = (box) => {
    const select = box.previousElementSibling;
    const name = nameOf(select && select.matches("select") ? select : null);
    for (const part of box.querySelectorAll(PARTS)) {
      part.removeAttribute("aria-labelledby");
      part.setAttribute("aria-label", name);
    }
  };

  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) {
        if (node.nodeType === Node.ELEMENT_NODE && node.matches(".select2-container")) give(node);
      }
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  // Unfold shows a chosen file's name in a text box beside it; ours has none, and its script fails when it looks for it.
  document.addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("input[type=file]")) input.hasChangeListener = true;
  });
}
