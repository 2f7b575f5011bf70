/*
 * Light or dark: the person's choice, otherwise the system's. A classic script in the head, so that the page is never
 * drawn in the wrong colours first. Sets `data-theme` of <html>; common/theme.css has the colours.
 */
(function () {
  "use strict";
  var KEY = "aisle.theme";
  var system = matchMedia("(prefers-color-scheme: dark)");

  function read() {
    try {
      return localStorage.getItem(KEY) || "auto";
    } catch (error) {
      return "auto";
    }
  }

  var choice = read();

  function apply() {
    var theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
    document.documentElement.dataset.theme = theme;
    document.documentElement.dataset.themeChoice = choice;
  }

  addEventListener("aisle-theme", function (event) {
    choice = /** @type {CustomEvent<string>} */ (event).detail;
    try {
      if (choice === "auto") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, choice);
    } catch (error) {
      // the choice lasts as long as the page
    }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
})();
