"use strict";
(() => {
  const $ = (s, at = document) => [...at.querySelectorAll(s)];
  const rows = $("#claim-table tbody tr");
  function filter() {
    const text = document.getElementById("search").value.toLowerCase();
    const wanted = $("[data-filter]").filter((s) => s.value);
    let shown = 0;
    for (const row of rows) {
      const fits = wanted.every((s) => row.dataset[s.dataset.filter] === s.value) && row.textContent.toLowerCase().includes(text);
      row.hidden = !fits;
      shown += fits;
    }
    document.getElementById("shown").textContent = `${shown} of ${rows.length} claims`;
  }
  document.getElementById("search").addEventListener("input", filter);
  $("[data-filter]").forEach((s) => s.addEventListener("change", filter));
  filter();

  const runSearch = document.getElementById("run-search");
  const runs = $("#run-table tbody tr");
  function filterRuns() {
    const typed = runSearch.value.split(/\s+/).filter(Boolean);
    const cells = new Set(typed.filter((w) => w.startsWith("=")).map((w) => w.slice(1))); // =paper/experiment/method/dataset/setting
    const words = typed.filter((w) => !w.startsWith("=")).map((w) => w.toLowerCase());
    let shown = 0;
    for (const row of runs) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(words.every((w) => text.includes(w)) && (!cells.size || cells.has(row.dataset.cell)));
      shown += !row.hidden;
    }
    document.getElementById("runs-shown").textContent = `${shown} of ${runs.length} runs`;
  }
  runSearch.addEventListener("input", filterRuns);
  $("[data-runs]").forEach((a) => a.addEventListener("click", () => { runSearch.value = a.dataset.runs; filterRuns(); }));
  filterRuns();

  $(".sortable thead th").forEach((th) => {
    th.tabIndex = 0;
    const sort = () => {
      const body = th.closest("table").tBodies[0], i = th.cellIndex, up = th.getAttribute("aria-sort") !== "ascending";
      $("th", th.parentNode).forEach((t) => t.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[i].textContent.trim(), number = (t) => (/^[-+]?[\d.]/.test(t) ? parseFloat(t) : NaN);
      [...body.rows].sort((a, b) => {
        const x = number(key(a)), y = number(key(b));
        const order = Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b), "en", { numeric: true }) : x - y;
        return up ? order : -order;
      }).forEach((row) => body.append(row));
    };
    th.addEventListener("click", sort);
    th.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); sort(); } });
  });

  const data = JSON.parse(document.getElementById("margin-data").textContent);
  const slider = document.getElementById("margin");
  function margin() {
    const at = data[slider.value];
    if (!at) return;
    document.getElementById("margin-value").textContent = at.multiplier.toFixed(2);
    document.getElementById("margin-counts").textContent = Object.entries(at.count).filter(([, n]) => n).map(([v, n]) => `${n} ${v}`).join(", ");
  }
  slider.addEventListener("input", margin);
  margin();
})();
