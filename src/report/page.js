// The filter: rows and columns with the word stay. It stands in the address, so that it can be passed on.
(function () {
  "use strict";
  var input = document.getElementById("filter");
  var count = document.getElementById("count");
  var KEY = "#filter=";

  function has(text, word) { return text.toLowerCase().indexOf(word) >= 0; }

  function list(table, word) {
    var shown = 0;
    Array.from(table.tBodies[0].rows).forEach(function (row) {
      row.hidden = word !== "" && !has(row.textContent, word);
      if (!row.hidden) { shown += 1; }
    });
    return shown;
  }

  function matrix(table, word) {
    var heads = Array.from(table.tHead.rows[0].cells).map(function (cell) { return cell.textContent; });
    var columns = heads.map(function (_, at) { return word === "" || at === 0; });
    var shown = 0;
    var rows = Array.from(table.tBodies[0].rows);
    rows.forEach(function (row) {
      var name = row.cells[0].textContent;
      var hits = 0;
      Array.from(row.cells).forEach(function (cell, at) {
        var text = cell.textContent;
        var hit = at > 0 && text !== "" && word !== "" && has(name + " " + heads[at] + " " + text, word);
        cell.classList.toggle("hit", hit);
        if (hit) { hits += 1; columns[at] = true; }
      });
      row.hidden = word !== "" && hits === 0;
      if (!row.hidden) { shown += 1; }
    });
    [table.tHead.rows[0]].concat(rows).forEach(function (row) {
      Array.from(row.cells).forEach(function (cell, at) { cell.hidden = !columns[at]; });
    });
    return shown;
  }

  function apply() {
    var word = input.value.trim().toLowerCase();
    var shown = 0;
    document.querySelectorAll("table.list").forEach(function (table) {
      var rows = list(table, word);
      // What is for paper says again what a matrix says.
      if (!table.closest(".on-paper")) { shown += rows; }
    });
    document.querySelectorAll("table.matrix").forEach(function (table) { shown += matrix(table, word); });
    count.textContent = word === "" ? "" : shown + (shown === 1 ? " row" : " rows");
  }

  function read() {
    if (location.hash.indexOf(KEY) === 0) {
      var text = location.hash.slice(KEY.length);
      try { text = decodeURIComponent(text); } catch (_) { /* as it stands */ }
      input.value = text;
    }
    apply();
  }

  input.addEventListener("input", function () {
    var word = input.value.trim();
    history.replaceState(null, "", word === "" ? location.pathname + location.search : KEY + encodeURIComponent(word));
    apply();
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && document.activeElement !== input && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
    } else if (event.key === "Escape" && document.activeElement === input) {
      input.value = "";
      input.dispatchEvent(new Event("input"));
    }
  });
  window.addEventListener("hashchange", read);
  document.querySelector(".search").hidden = false;
  read();
})();
