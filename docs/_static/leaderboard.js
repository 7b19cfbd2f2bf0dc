// The leaderboard: a choice of the page's entries, sorted, its state in the address.
(function () {
  const ALL = "all"; // the mean over all kinds of blur
  const RECORDED = "recorded"; // the noise of pictures that a camera took
  const BLIND = "nothing";
  const columns = [
    { key: "method", title: "method", up: true },
    { key: "psnr", title: "PSNR" },
    { key: "psnr_gain", title: "gain" },
    { key: "ssim", title: "SSIM" },
    { key: "win_rate", title: "better" },
    { key: "group", title: "group", up: true },
    { key: "seconds_per_megapixel", title: "s/Mpx", up: true },
    { key: "memory_mb_per_megapixel", title: "MB/Mpx", up: true },
    { key: "parameters", title: "parameters", up: true },
  ]; // up: the least comes first
  let data, state, box, head, body, note, controls;

  const noiseOf = (line) => (line.noise === null ? RECORDED : String(line.noise));
  const unique = (values) => [...new Set(values)];
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  // ---- what may be chosen, and what is

  function choices() {
    const lines = data.lines;
    const sets = unique(lines.map((line) => line.data));
    const own = lines.filter((line) => line.data === state.data);
    const blurs = unique(own.map((line) => line.degradation));
    const kind = own.filter((line) => state.blur === ALL || line.degradation === state.blur);
    const noises = unique(kind.map(noiseOf)).sort();
    return {
      data: sets.map((name) => [name, name]),
      blur: [...(blurs.length > 1 ? [[ALL, "all, mean"]] : []), ...blurs.map((b) => [b, b])],
      noise: noises.map((n) => [n, n === RECORDED ? "as recorded" : n === "0" ? "none" : n]),
      know: [[BLIND, "nothing"], ["kernel", "the kernel"]],
    };
  }

  function settle() { // what is chosen is one of the choices
    for (const name of ["data", "blur", "noise", "know"]) {
      const values = choices()[name].map(([value]) => value);
      if (!values.includes(state[name])) state[name] = values[0];
    }
    const key = state.sort.replace("-", "");
    if (!columns.some((column) => column.key === key)) state.sort = "-psnr_gain";
  }

  function fromAddress() {
    // the set with most kinds of blur comes first
    const kinds = (name) =>
      unique(data.lines.filter((l) => l.data === name).map((l) => l.degradation)).length;
    const sets = unique(data.lines.map((l) => l.data)).sort((a, b) => kinds(b) - kinds(a));
    state = { data: sets[0], blur: ALL, noise: "0", know: BLIND, find: "", sort: "-psnr_gain" };
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(state)) if (given.has(name)) state[name] = given.get(name);
    settle();
  }

  function chosen() {
    const known = (line) => state.know !== BLIND || line.kernel !== "needed";
    const lines = data.lines.filter(
      (line) => line.data === state.data && noiseOf(line) === state.noise && known(line) &&
        (state.blur === ALL || line.degradation === state.blur));
    const blurs = unique(lines.map((line) => line.degradation)).length;
    return unique(lines.map((line) => line.method)).map((method) => {
      const own = lines.filter((line) => line.method === method);
      const row = { ...own[0], ...data.costs[method], of: own.length, blurs };
      if (own.length > 1) {
        for (const key of ["psnr", "psnr_gain", "ssim", "win_rate"])
          row[key] = mean(own.map((line) => line[key]));
        // no interval of the mean follows from those of its parts: the least and the most are told
        row.lo = Math.min(...own.map((line) => line.psnr_gain));
        row.hi = Math.max(...own.map((line) => line.psnr_gain));
      }
      if (state.blur === ALL) row.group = undefined;
      row.contaminated = own.some((line) => line.contaminated);
      return row;
    });
  }

  function sorted(rows) {
    const down = state.sort.startsWith("-"), key = state.sort.replace("-", "");
    const has = (row) => row[key] !== undefined && row[key] !== null;
    return rows.sort((a, b) => {
      if (!has(a) || !has(b)) return has(b) - has(a); // what is not known comes last
      const order = typeof a[key] === "string" ? a[key].localeCompare(b[key]) : a[key] - b[key];
      return down ? -order : order;
    });
  }

  // ---- what is shown

  function bar(row, least, most) {
    const at = (value) => (120 * (value - least)) / (most - least || 1);
    const from = Math.min(at(0), at(row.psnr_gain)), width = Math.abs(at(row.psnr_gain) - at(0));
    const part = (name, x, y, w, h) =>
      `<rect class="${name}" x="${x.toFixed(1)}" y="${y}" width="${w.toFixed(1)}" height="${h}"/>`;
    const side = row.psnr_gain < 0 ? "worse" : "gain";
    return `<svg viewBox="-2 0 124 16" width="124" height="16" aria-hidden="true">` +
      part(side, from, 4, width, 8) + part("zero", at(0) - 0.5, 0, 1, 16) +
      (row.lo === null ? "" : part("range", at(row.lo), 7, Math.max(at(row.hi) - at(row.lo), 1), 2)) +
      "</svg>";
  }

  function cell(column, row, least, most) {
    const value = row[column.key], td = make("td");
    if (row.method === "identity" && ["psnr_gain", "win_rate"].includes(column.key)) td.append("0");
    else if (column.key === "psnr_gain") {
      td.innerHTML = bar(row, least, most); // numbers alone
      const ends = row.lo === null ? "" : ` (${signed(row.lo)} to ${signed(row.hi)})`;
      td.append(make("span", {}, signed(value) + ends));
    } else if (column.key === "seconds_per_megapixel" && value === undefined) {
      const taken = row.seconds_per_picture;
      td.append(taken === undefined ? "–" : `${Number(taken.toPrecision(2))} s a picture`);
    } else if (value === undefined || value === null) td.append("–");
    else if (column.key === "psnr") td.append(value.toFixed(2));
    else if (column.key === "ssim") td.append(value.toFixed(3));
    else if (column.key === "win_rate") td.append(`${Math.round(100 * value)} %`);
    else if (column.key === "parameters") td.append(value.toLocaleString("en"));
    else td.append(String(column.key === "group" ? value : Number(value.toPrecision(2))));
    return td;
  }

  function title(row) {
    const th = make("th", { scope: "row" }, row.method);
    const tag = (text) => th.append(" ", make("span", { class: "board-tag" }, text));
    if (row.method === "identity") tag("the blurred picture");
    if (row.kernel === "found") tag("finds the kernel");
    if (row.kernel === "needed") tag("needs the kernel");
    if (row.contaminated) tag("trained on these");
    if (row.of < row.blurs) tag(`${row.of} of ${row.blurs} blurs`);
    return th;
  }

  function show() {
    const found = (row) => row.method === "identity" ||
      row.method.toLowerCase().includes(state.find.trim().toLowerCase());
    const all = chosen(), rows = sorted(all.filter(found));
    const ends = rows.flatMap((r) => [r.lo ?? r.psnr_gain, r.hi ?? r.psnr_gain]);
    const least = Math.min(0, ...ends), most = Math.max(0, ...ends);
    for (const [name, options] of Object.entries(choices())) {
      const made = options.map(([value, text]) => make("option", { value }, text));
      controls[name].replaceChildren(...made);
      controls[name].value = state[name];
      controls[name].disabled = options.length < 2;
    }
    if (controls.find.value !== state.find) controls.find.value = state.find;
    columns.forEach((column, i) => {
      const active = state.sort.replace("-", "") === column.key;
      const order = state.sort.startsWith("-") ? "descending" : "ascending";
      if (active) head.cells[i].setAttribute("aria-sort", order);
      else head.cells[i].removeAttribute("aria-sort");
    });
    body.replaceChildren(...rows.map((row) => {
      const line = make("tr", row.method === "identity" ? { class: "identity" } : {});
      line.append(title(row), ...columns.slice(1).map((c) => cell(c, row, least, most)));
      return line;
    }));
    const several = state.blur === ALL && rows.some((row) => row.of > 1);
    const said = [`${rows.length} of ${all.length} methods.`];
    said.push(several
      ? "Means over all kinds of blur. In brackets, and as the thin line: the least and the most " +
        "gain among them. Choose one blur to see intervals and groups."
      : "In brackets, and as the thin line: the 95 % interval of the mean gain.");
    if (rows.some((row) => row.of < row.blurs))
      said.push("Who was measured on some kinds of blur alone has the mean of these, which cannot " +
        "be compared with the others' PSNR; its gain is that on these.");
    if (rows.some((row) => row.contaminated))
      said.push("“Trained on these”: the method's training held pictures of this set, so that its " +
        "scores here are too good.");
    note.textContent = said.join(" ");
  }

  function change(name, value) {
    state[name] = value;
    settle();
    history.replaceState(null, "", "#" + new URLSearchParams(state));
    show();
  }

  function sortBy(column) {
    const first = column.up ? column.key : "-" + column.key;
    const other = first.startsWith("-") ? column.key : "-" + column.key;
    change("sort", state.sort === first ? other : first);
  }

  // ---- the page

  function build() {
    const place = document.getElementById("board");
    data = JSON.parse(document.getElementById("board-data").textContent);
    const labels = { data: "Pictures", blur: "Blur", noise: "Noise", know: "I know of the blur" };
    const form = make("div", { class: "board-form" });
    controls = {};
    for (const [name, label] of Object.entries(labels)) {
      controls[name] = make("select", { "aria-label": label });
      controls[name].addEventListener("change", () => change(name, controls[name].value));
      form.append(make("label", {}, label, controls[name]));
    }
    controls.find = make("input", { type: "search", placeholder: "part of a name" });
    controls.find.addEventListener("input", () => change("find", controls.find.value));
    form.append(make("label", {}, "Method", controls.find));
    head = make("tr");
    for (const column of columns) {
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => sortBy(column));
      head.append(make("th", { scope: "col" }, button));
    }
    body = make("tbody");
    box = make("div", { class: "board-box", role: "region", "aria-label": "Methods", tabindex: "0" },
      make("table", {}, make("thead", {}, head), body));
    note = make("p", { class: "board-note", "aria-live": "polite" });
    fromAddress();
    place.replaceChildren(form, box, note);
    show();
    window.addEventListener("hashchange", () => { fromAddress(); show(); });
  }

  build();
})();
