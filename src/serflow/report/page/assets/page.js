"use strict";
// What a page shows is told by its address: #show=paper&measure=ua&cell=3&square=0,1
(() => {
  const root = document.documentElement;
  const state = { show: "both", measure: "all", condition: "all", intervals: "off", cell: "", square: "" };
  const start = { ...state };
  const source = document.getElementById("listing");
  const listing = source ? JSON.parse(source.textContent) : null;
  const byId = (id) => document.getElementById(id);

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "text") node.textContent = value;
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  // The address

  function allowed(name, value) {
    if (name === "cell") return listing !== null && /^\d+$/.test(value) && Number(value) < listing.cells.length;
    if (name === "square") return /^\d+,\d+$/.test(value);
    return [...document.querySelectorAll(`button[data-set="${name}"]`)].some((one) => one.dataset.value === value);
  }

  function read() {
    if (location.hash && !location.hash.includes("=")) return;
    const said = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(start)) {
      const value = said.get(name);
      state[name] = value !== null && allowed(name, value) ? value : start[name];
    }
  }

  function write() {
    const said = Object.entries(state).filter(([name, value]) => value !== start[name] && value !== "");
    const text = said.map(([name, value]) => `${name}=${value}`).join("&");
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  // Tables

  function showTables() {
    for (const name of ["show", "measure", "condition", "intervals"]) {
      root.dataset[name] = state[name];
      for (const button of document.querySelectorAll(`button[data-set="${name}"]`)) {
        button.setAttribute("aria-pressed", String(button.dataset.value === state[name]));
      }
    }
    for (const table of document.querySelectorAll("table.scores")) {
      const heads = new Map([...table.querySelectorAll("th[data-column]")].map((head) => [head.dataset.column, head]));
      for (const group of table.querySelectorAll("th[data-columns]")) {
        const shown = group.dataset.columns.split(" ").filter((one) => getComputedStyle(heads.get(one)).display !== "none");
        group.classList.toggle("none", shown.length === 0);
        group.colSpan = Math.max(1, shown.length);
      }
    }
  }

  function set(name, value) {
    state[name] = value;
    write();
    showTables();
  }

  // What is said of a number, under the pointer and under the focus

  const tip = byId("tip");

  function showTip(cell) {
    tip.textContent = cell.dataset.tip;
    tip.hidden = false;
    const box = cell.getBoundingClientRect();
    const left = Math.min(box.left, root.clientWidth - tip.offsetWidth - 8);
    const below = box.bottom + 8 + tip.offsetHeight < root.clientHeight || box.top < tip.offsetHeight + 8;
    tip.style.left = `${Math.max(4, left) + scrollX}px`;
    tip.style.top = `${(below ? box.bottom + 8 : box.top - tip.offsetHeight - 8) + scrollY}px`;
  }

  const cellOf = (event) => (event.target instanceof Element ? event.target.closest(".cell[data-tip]") : null);

  function visible(cell) {
    return cell.offsetParent !== null;
  }

  // Arrows go from number to number: one stop of the tab key for each table
  function move(cell, key) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const rows = [...cell.closest("tbody").rows].map((row) => [...row.querySelectorAll(".cell")].filter(visible));
    let row = rows.findIndex((one) => one.includes(cell));
    let column = rows[row].indexOf(cell);
    row += steps[key][0];
    column += steps[key][1];
    const next = rows[row] && rows[row][column];
    if (!next) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  // Predictions

  const label = (field, value) => (listing.labels[field] && listing.labels[field][value]) || value;
  const named = (field, value) => (/^\d+$/.test(label(field, value)) ? `${field} ${label(field, value)}` : label(field, value));

  function showPickers() {
    const place = byId("pickers");
    place.replaceChildren();
    const at = listing.cells[Number(state.cell)].at;
    listing.fields.forEach((field, i) => {
      const values = [...new Set(listing.cells.map((cell) => cell.at[i]))];
      if (values.length < 2) return;
      const select = make("select", { "data-field": String(i) });
      for (const value of values) {
        select.append(make("option", { value, text: label(field, value), selected: value === at[i] }));
      }
      place.append(make("label", {}, field, select));
    });
  }

  // The cell that has the value, and of the other names as many as can be
  function pick(field, value) {
    const now = listing.cells[Number(state.cell)].at;
    let best = -1;
    let most = -1;
    listing.cells.forEach((cell, place) => {
      const alike = cell.at.filter((one, i) => one === now[i]).length;
      if (cell.at[field] === value && alike > most) [best, most] = [place, alike];
    });
    showCell(best, "");
  }

  function showCell(place, square, origin) {
    state.cell = String(place);
    state.square = square;
    write();
    showPredictions(origin);
  }

  function showPredictions(origin) {
    if (listing === null || listing.cells.length === 0 || !byId("matrix")) return;
    const shown = state.cell === "" ? 0 : Number(state.cell);
    const fresh = state.cell === "";
    state.cell = String(shown);
    const cell = listing.cells[shown];
    byId("matrix").hidden = false;
    showPickers();
    const said = byId("origin");
    said.hidden = !origin;
    said.textContent = origin || "";
    showMatrix(cell);
    showCurve(cell);
    showSquare(cell);
    if (fresh) state.cell = "";
  }

  function showMatrix(cell) {
    const table = byId("confusion");
    const name = cell.at.map((value, i) => named(listing.fields[i], value)).join(", ");
    const heading = byId("matrix-name");
    heading.replaceChildren(`${name} `);
    for (const mark of cell.stamp) heading.append(make("strong", { class: "stamp", text: mark }), " ");
    const caption = make("caption", { class: "hidden", text: `Confusion matrix of ${name}` });
    const head = make("tr", {}, make("th", { class: "axis", scope: "col", text: "label ↓ predicted →" }));
    for (const one of cell.classes) head.append(make("th", { scope: "col", text: one }));
    const body = make("tbody");
    cell.counts.forEach((counts, i) => {
      const total = counts.reduce((sum, one) => sum + one, 0);
      const row = make("tr", {}, make("th", { scope: "row", text: `${cell.classes[i]} (${total})` }));
      counts.forEach((count, j) => {
        const share = total ? count / total : 0;
        const button = make(
          "button",
          {
            type: "button",
            class: `h${Math.round(6 * share)}`,
            "data-square": `${i},${j}`,
            disabled: count === 0,
            "aria-pressed": String(state.square === `${i},${j}`),
            "aria-label": `${cell.classes[i]} predicted as ${cell.classes[j]}: ${count} of ${total}`,
          },
          String(count),
          make("small", { text: total ? `${Math.round(100 * share)} %` : "" }),
        );
        row.append(make("td", {}, button));
      });
      body.append(row);
    });
    table.replaceChildren(caption, make("thead", {}, head), body);
  }

  function svg(tag, attributes, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function showCurve(cell) {
    const figure = byId("curve");
    const values = cell.curve;
    figure.hidden = values.length === 0;
    if (values.length === 0) return;
    const [width, height, left, bottom, top] = [384, 130, 34, 20, 8];
    const low = Math.min(...values);
    const high = Math.max(...values);
    const x = (i) => left + ((width - left - 8) * i) / Math.max(1, values.length - 1);
    const y = (value) => height - bottom - ((height - bottom - top) * (value - low)) / (high > low ? high - low : 1);
    const words = `${listing.quantity} by period, mean over fits: ${values.join(", ")}`;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words });
    for (const value of high > low ? [low, high] : [low]) {
      picture.append(svg("line", { x1: left, x2: width - 8, y1: y(value), y2: y(value) }));
      picture.append(svg("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(0)));
    }
    picture.append(svg("path", { d: values.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join("") }));
    picture.append(svg("circle", { cx: x(values.length - 1), cy: y(values[values.length - 1]), r: 3 }));
    picture.append(svg("text", { x: left, y: height - 4 }, "0"));
    picture.append(svg("text", { x: width - 8, y: height - 4, "text-anchor": "end" }, `period ${values.length - 1}`));
    figure.replaceChildren(make("figcaption", { text: `Training: ${listing.quantity}, mean over fits` }), picture);
  }

  function showSquare(cell) {
    const place = byId("square");
    const [row, column] = state.square.split(",").map(Number);
    const found = cell.listed[state.square];
    if (!found) {
      place.replaceChildren(make("p", { class: "lead", text: "Press a square of the matrix: who is in it is listed here." }));
      return;
    }
    const count = cell.counts[row][column];
    const heading = make("h3", { text: `${cell.classes[row]}, predicted as ${cell.classes[column]} ` });
    for (const mark of cell.stamp) heading.append(make("strong", { class: "stamp", text: mark }), " ");
    const more = count - found.length;
    const audible = found.filter((one) => Object.keys(listing.utterances[one[0]][4]).length).length;
    const hear = audible ? ` ${audible} of them can be heard.` : "";
    const rest = more ? `${found.length} of ${count} are listed; ${more} more are in predictions.parquet.` : `All ${count} are listed.`;
    const list = make("ol");
    const sure = (one) => (Object.keys(listing.utterances[one[0]][4]).length ? 2 : 0) + one[3][column];
    for (const one of [...found].sort((a, b) => sure(b) - sure(a))) list.append(utterance(cell, one, row, column));
    place.replaceChildren(heading, make("p", { class: "said-facts", text: rest + hear }), list);
  }

  function utterance(cell, [place, run, fold, posterior, words], row, column) {
    const [name, corpus, speaker, text, sounds] = listing.utterances[place];
    const item = make("li", {}, make("div", { class: "said-name", text: name }));
    item.append(make("div", { class: "said-facts", text: `${corpus}, speaker ${speaker}, run ${run}, fold ${fold}` }));
    const facts = `label ${cell.classes[row]}, predicted ${cell.classes[column]}, posterior ${posterior[column].toFixed(2)}`;
    item.append(make("div", { class: "said-facts", text: facts }));
    if (text) item.append(make("p", { class: "said-text", text: `“${text}”` }));
    for (const [what, said] of words) item.append(make("div", { class: "said-facts", text: `${what}: ${said}` }));
    const bars = make("div", { class: "posterior" });
    cell.classes.forEach((one, i) => {
      bars.append(make("span", { class: i === row ? "label" : i === column ? "taken" : "", text: one }));
      const bar = make("span", { class: "amount" });
      bar.style.width = `${100 * posterior[i]}%`;
      bars.append(make("span", { class: "track", "aria-hidden": "true" }, bar));
      bars.append(make("span", { text: posterior[i].toFixed(2) }));
    });
    item.append(bars);
    const heard = Object.keys(sounds).filter((one) => one === "clean" || one === cell.profile);
    if (heard.length) item.append(make("div", { class: "sounds" }, ...heard.map((one) => sound(name, one, sounds[one]))));
    return item;
  }

  function sound(name, condition, [stem, noise]) {
    const path = `${listing.folder}/${stem}`;
    const words = noise ? `${condition}: ${noise}` : condition;
    const caption = make("figcaption", { text: words });
    const player = make("audio", { controls: true, preload: "none", src: `${path}.flac`, "aria-label": `${name}, ${words}` });
    player.addEventListener("error", () => {
      caption.textContent = `${words}: the recording is not beside this page`;
    });
    const picture = make("img", { src: `${path}.png`, alt: `log-mel spectrogram of ${name}, ${words}`, loading: "lazy" });
    return make("figure", {}, caption, picture, player);
  }

  // Events

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const button = target && target.closest("button");
    if (!button) return;
    if (button.dataset.set) set(button.dataset.set, button.dataset.value);
    else if (button.dataset.runs) {
      const runs = button.dataset.runs.split(" ");
      const name = button.dataset.tip.split("\n")[0];
      const several = runs.length > 1 ? `, one of the ${runs.length} that it is the mean of` : "";
      showCell(Number(runs[0]), "", `The cell of runs behind ${name}${several}.`);
      byId("predictions").scrollIntoView();
    } else if (button.dataset.square) showCell(Number(state.cell || "0"), button.dataset.square);
  });
  document.addEventListener("change", (event) => {
    if (event.target.dataset && event.target.dataset.field) pick(Number(event.target.dataset.field), event.target.value);
  });
  document.addEventListener("keydown", (event) => {
    const cell = cellOf(event);
    if (event.key === "Escape") tip.hidden = true;
    if (!cell || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    move(cell, event.key);
  });
  for (const [enter, leave] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
    document.addEventListener(enter, (event) => {
      const cell = cellOf(event);
      if (cell) showTip(cell);
    });
    document.addEventListener(leave, (event) => {
      if (cellOf(event)) tip.hidden = true;
    });
  }
  addEventListener("hashchange", () => {
    read();
    showTables();
    showPredictions();
  });

  for (const table of document.querySelectorAll("table.scores")) {
    const first = table.querySelector(".cell");
    if (first) first.tabIndex = 0;
  }
  root.classList.add("script");
  read();
  showTables();
  showPredictions();
  if (state.cell !== "") byId("predictions").scrollIntoView();
})();
