// The page of verdicts: show the claims of one verdict, or of one origin.
(function () {
  const form = document.querySelector(".claim-filters");
  const claims = Array.from(document.querySelectorAll(".claim"));
  if (!form || !claims.length) return;

  function filter() {
    let shown = 0;
    claims.forEach(function (claim) {
      claim.hidden = !["verdict", "origin"].every(function (name) {
        const wanted = form.elements[name].value;
        return !wanted || claim.dataset[name] === wanted;
      });
      shown += !claim.hidden;
    });
    document.querySelectorAll("section:has(> .claim)").forEach(function (section) {
      section.hidden = !section.querySelector(".claim:not([hidden])");
    });
    form.querySelector(".shown").textContent = shown + " of " + claims.length + " claims";
  }

  function reveal() { // a link to a claim that is filtered away shows all
    const target = document.getElementById(location.hash.slice(1));
    if (!target || !target.hidden) return;
    form.reset();
    filter();
    target.scrollIntoView();
  }

  form.hidden = false;
  form.addEventListener("change", filter);
  window.addEventListener("hashchange", reveal);
  window.addEventListener("pageshow", filter); // a browser may have kept a choice
  filter();
})();
