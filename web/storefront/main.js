/** Starts the storefront. */

import { readConfig } from "../common/api.js";
import { ProblemNote } from "../common/components.js";
import { startTexts } from "../common/i18n.js";
import { html, render } from "../common/view.js";
import { startShopping } from "./actions.js";
import { App } from "./app.js";
import { startLive } from "./live.js";
import { startShop } from "./shop.js";
import { renewShopper } from "./shopper.js";

/** @type {import("../common/i18n.js").TextLoader[]} */
const TEXTS = [
  (language) => import(`../common/texts/${language}.js`),
  (language) => import(`./texts/${language}.js`),
];

const root = /** @type {HTMLElement} */ (document.getElementById("root"));

async function start() {
  const reading = readConfig();
  // an error of it is shown below, once there are texts
  const shopLanguage = await reading.then(({ language }) => language, () => null);
  await startTexts(TEXTS, shopLanguage);
  try {
    startShop(await reading);
  } catch (error) {
    root.replaceChildren();
    render(html`<main class="shop"><${ProblemNote} error=${error} onRetry=${() => location.reload()} /></main>`, root);
    return;
  }
  await renewShopper();
  startLive();
  startShopping();
  root.replaceChildren();
  render(html`<${App} />`, root);
}

void start();
