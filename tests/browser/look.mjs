// Looks at pages as people do, without script: node look.mjs < pages.json > found.json
//
// A page is {url, cookies, width, scheme}. What is found: whether anything is wider than the window, which tables are cut
// off (those that may be rolled take the focus), what the keyboard reaches and how that looks, what axe-core finds, and what
// html-validate says of the source.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import puppeteer from 'puppeteer-core';
import { HtmlValidate } from 'html-validate';

const CONTROLS = 'a[href], button, input:not([type=hidden]), select, textarea, summary';
const MOST_TABS = 120;
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf-8');
const { browser: program, pages } = JSON.parse(fs.readFileSync(0, 'utf-8'));
const validator = new HtmlValidate({
  extends: ['html-validate:standard'],
  // Style, not validity: how our templates write what HTML lets one write in two ways.
  rules: { 'void-style': 'off', 'no-trailing-whitespace': 'off', 'long-title': 'off', 'no-implicit-button-type': 'off',
    'no-raw-characters': 'off', 'attribute-boolean-style': 'off', 'attr-quotes': 'off', 'doctype-style': 'off' },
});

async function tabs(page) {
  const wanted = await page.$$eval(CONTROLS, (all) => all.filter((e) => e.checkVisibility()).length);
  const found = { wanted, reached: 0, invisible: [] };
  const seen = new Set();
  for (let step = 0; step < Math.min(wanted, MOST_TABS) + 2; step++) {
    await page.keyboard.press('Tab');
    const told = await page.evaluate((controls) => {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      const style = getComputedStyle(at);
      const box = at.getBoundingClientRect();
      return {
        number: [...document.querySelectorAll(controls)].indexOf(at),
        name: at.outerHTML.slice(0, 100),
        shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.left >= 0,
      };
    }, CONTROLS);
    if (!told || told.number < 0) continue;
    seen.add(told.number);
    if (!told.shown) found.invisible.push(told.name);
  }
  found.reached = seen.size;
  found.expected = Math.min(wanted, MOST_TABS);
  return found;
}

const browser = await puppeteer.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'] });
const results = [];
for (const wish of pages) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.setJavaScriptEnabled(false);
  await page.setViewport({ width: wish.width, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: wish.scheme }]);
  const origin = new URL(wish.url).origin;
  if (wish.cookies) {
    await context.setCookie(...Object.entries(wish.cookies).map(([name, value]) => ({ name, value, domain: new URL(origin).hostname, path: '/' })));
  }
  const response = await page.goto(wish.url);
  const source = await response.text();
  const result = { url: wish.url, width: wish.width, scheme: wish.scheme, status: response.status() };
  result.wide = await page.evaluate(() => document.documentElement.scrollWidth);
  result.cut = await page.$$eval('.wide:not([tabindex])', (all) =>
    all.filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText.slice(0, 80)));
  result.elsewhere = asked.filter((url) => !url.startsWith(origin));
  result.background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  if (wish.tabs) result.tabs = await tabs(page);
  if (wish.picture) await page.screenshot({ path: wish.picture, ...(wish.clip ? { clip: { x: 0, y: 0, ...wish.clip } } : { fullPage: true }) });
  await page.setJavaScriptEnabled(true);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  result.axe = violations.map((v) => ({ id: v.id, impact: v.impact, nodes: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)), count: v.nodes.length }));
  if (wish.validate) {
    const report = await validator.validateString(source);
    result.html = report.results.flatMap((r) => r.messages.map((m) => `${m.line}:${m.column} ${m.ruleId}: ${m.message}`));
  }
  results.push(result);
  await context.close();
}
await browser.close();
process.stdout.write(JSON.stringify(results));
