// Tables, formulas and diagrams that are wider than the page scroll by themselves; say so, and let
// the keyboard reach them.
(function () {
  const wide = ".bd-article .table-scroll, .bd-article .pst-scrollable-table-container, " +
    ".bd-article mjx-container[display='true'], .bd-article figure.diagram";

  function mark() {
    document.querySelectorAll(wide).forEach(function (box) {
      const scrolls = box.scrollWidth > box.clientWidth + 2;
      box.classList.toggle("scrolls", scrolls);
      if (scrolls) box.setAttribute("tabindex", "0");
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll(".bd-article .cell_output td").forEach(function (cell) {
      if (cell.textContent.length > 80) cell.style.minWidth = "22em"; // else a word a line
    });
    mark();
    window.addEventListener("resize", mark);
    document.addEventListener("toggle", mark, true);
    if (window.MathJax && MathJax.startup) MathJax.startup.promise.then(mark);
  });
  window.addEventListener("load", function () {
    mark();
    if (window.MathJax && MathJax.startup) MathJax.startup.promise.then(mark);
  });
})();
