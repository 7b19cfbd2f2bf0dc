// The search ranks chapters first, then guides, and code last: a reader who types "kernel" wants
// the idea. A word in a guide's title outranks the same word somewhere in a chapter.
var Scorer = {
  score: ([page, , , , score]) => {
    if (page.startsWith("chapters/")) return score + 20;
    if (page.startsWith("your-run/")) return score / 10;
    if (/^(api(\/.*)?|gallery\/.*|_modules\/.*|command|CHANGELOG|CONTRIBUTING)$/.test(page)) return score / 10;
    return page === "index" ? score : score * 2;
  },
  // the rest as Sphinx has it
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
